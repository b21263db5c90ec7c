"""Images with a partner of the same name in another folder."""

from __future__ import annotations

from pathlib import Path

from aebuild.data.errors import fault, listed, shown
from aebuild.data.image_folder import IMAGES, Album, list_images
from aebuild.lang.diagnostics import Hint, Rule

UNPAIRED = Rule("AE438", "images without a partner", """\
With `target` each image has a partner of the same name, whatever its ending, in another folder that is laid out alike: edges and the
photographs that they were drawn from. The first is the input, its partner what is to be made of it.

```yaml
data: {type: images, path: edges/, target: photos/}     # edges/shoe_1.png, and no photos/shoe_1.*
encoder: {layer: conv, width: 8}
```
```yaml
data: {type: images, path: edges/}
encoder: {layer: conv, width: 8}
```
""")


def partners(album: Album, folder: Path, other: Path) -> Album:
    """The partners of an album's images of `folder`, in its order; DataError where one is missing."""
    found = list_images(other)
    there = {_name(file, other): file for files in found.files.values() for file in files}
    missing = [_name(file, folder) for files in album.files.values() for file in files if _name(file, folder) not in there]
    if missing:
        example = Hint(f"put an image {shown(missing[0])}{IMAGES.endings[0]} there")
        raise fault(UNPAIRED, f"{shown(other)} has no partners of {len(missing):,} images: {listed(missing, 3)}", example)
    return Album({part: [there[_name(file, folder)] for file in files] for part, files in album.files.items()}, others=found.others)


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).with_suffix("").as_posix()
