"""Models on the Hugging Face hub: an exported folder with a card, pushed and pulled."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild import __version__
from aebuild.lang.dataset import Known, OnDisk
from aebuild.lang.diagnostics import Diagnostic, Hint, ResourceError, Rule, UsageError
from aebuild.results.export.export import export_run
from aebuild.results.export.exported_folder import check_exported
from aebuild.results.export.model_card import CARD, model_card
from aebuild.results.inference.row_files import appearing

if TYPE_CHECKING:
    from aebuild.results.open_run import OpenRun

NO_PACKAGE = Rule("AE522", "the hub needs another package", """\
Models are pushed and pulled by the package huggingface_hub: the extra `hub`.

```console
$ aebuild pull someone/vae          # without it: refused
$ pip install huggingface_hub
$ aebuild pull someone/vae
```
""")
NO_REPOSITORY = Rule("AE523", "there is no such model on the hub", """\
A model on the hub has an owner and a name, OWNER/NAME, of letters, digits, `-`, `_` and `.`, and perhaps revisions. Private ones are
there only for who may see them.

```console
$ aebuild pull someone/vea             # refused: there is none
$ aebuild pull someone/vae --revision v1
```
""")
NO_TOKEN = Rule("AE524", "the hub does not let you", """\
Pushing needs a token with the right to write, pulling a private model one with the right to read. It is read from HF_TOKEN, or from
where `hf auth login` keeps it; aebuild never stores it.

```console
$ aebuild push runs/vae me/vae         # without a token: refused
$ hf auth login
$ aebuild push runs/vae me/vae
```
""")
NOT_REACHED = Rule("AE525", "the hub cannot be reached", """\
The hub is asked at HF_ENDPOINT, usually https://huggingface.co, and not at all where HF_HUB_OFFLINE is set.

```console
$ HF_HUB_OFFLINE=1 aebuild pull someone/vae       # refused
$ aebuild pull someone/vae
```
""")
WANTED = ["*.safetensors", "manifest.json", "data.json", "threshold.json", "spec.yaml", "*.onnx", "*.onnx.data", "*.pt2", CARD]


def push(run: OpenRun, repository: str, *, licence: str | None = None, private: bool = False, tags: tuple[str, ...] = (),
         message: str | None = None) -> str:
    """Exports a run with a card and pushes it as one commit; the commit's address.

    The spec that is pushed names the data by their last name only. UsageError without a token or for a name that cannot be, ResourceError
    where the hub is not reached.
    """
    hub = package()
    with _asking(repository):
        if hub.get_token() is None:
            raise UsageError(Diagnostic(NO_TOKEN, "there is no token for the hub", fix=Hint("hf auth login, or set HF_TOKEN")))
        api = hub.HfApi(library_name="aebuild", library_version=__version__)
        with tempfile.TemporaryDirectory(prefix="aebuild-push-") as folder:
            place = Path(folder, "model")
            shown = _without_paths(run)
            export_run(shown, place)
            (place / CARD).write_text(model_card(shown, repository, licence, tags), encoding="utf-8")
            api.create_repo(repository, private=private or None, exist_ok=True)
            made = api.upload_folder(repo_id=repository, folder_path=place,
                                     commit_message=message or f"{run.plan.spec.name}, by aebuild {__version__}")
    return str(getattr(made, "commit_url", made))


def pull(repository: str, folder: Path, revision: str | None = None) -> str:
    """Writes a model of the hub as a folder that opens like a run; the model's name. CheckpointError if it is none of ours, or damaged.

    Nothing is written unless all of it is there and is what its manifest says.
    """
    hub = package()
    with appearing(folder) as partial:
        partial.mkdir()
        with _asking(repository, revision):
            hub.snapshot_download(repository, revision=revision, local_dir=partial, allow_patterns=WANTED, library_name="aebuild",
                                  library_version=__version__)
        shutil.rmtree(partial / ".cache", ignore_errors=True)
        return check_exported(partial).name


def package() -> Any:
    """The package; UsageError where it is not installed."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise UsageError(Diagnostic(NO_PACKAGE, "the hub needs the package huggingface_hub, which is not installed",
                                    fix="pip install huggingface_hub")) from error


def _without_paths(run: OpenRun) -> OpenRun:
    """The run with data that are named without their folders."""
    data = run.plan.spec.data
    if isinstance(data, OnDisk):
        data = data.but(path=Path(data.path).name)
    elif isinstance(data, Known):
        data = data.but(root=None)
    return replace(run, plan=replace(run.plan, spec=run.plan.spec.but(data=data)))


@contextmanager
def _asking(repository: str, revision: str | None = None) -> Iterator[None]:
    """What the hub and the way to it refuse, as diagnostics."""
    errors: Any = importlib.import_module("huggingface_hub.errors")
    wanted = f"{repository} at {revision}" if revision else repository
    try:
        yield
    except errors.HFValidationError as error:
        raise UsageError(Diagnostic(NO_REPOSITORY, f"{repository} cannot be the name of a model", fix=Hint("OWNER/NAME"))) from error
    except errors.GatedRepoError as error:
        raise UsageError(Diagnostic(NO_TOKEN, f"{wanted} has conditions that you have not agreed to",
                                    fix=Hint("agree on its page"))) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise UsageError(Diagnostic(NO_REPOSITORY, f"the hub has no model {wanted}, or not for you",
                                    fix=Hint("check owner and name; for a private one hf auth login"))) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise _not_reached(error) from error
    except errors.HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise UsageError(Diagnostic(NO_TOKEN, f"the hub refuses {wanted} with this token ({status})",
                                        fix=Hint("a token with the right to write: hf auth login"))) from error
        raise _not_reached(error) from error
    except Exception as error:          # of whatever client the package uses
        if type(error).__module__.partition(".")[0] in ("httpx", "requests", "urllib3"):
            raise _not_reached(error) from error
        raise


def _not_reached(error: Exception) -> ResourceError:
    endpoint = importlib.import_module("huggingface_hub.constants").ENDPOINT
    reason = str(error).strip().split("\n")[0][:200]
    return ResourceError(Diagnostic(NOT_REACHED, f"the hub at {endpoint} does not answer: {reason}",
                                    fix=Hint("the network, HF_ENDPOINT and HF_HUB_OFFLINE")))
