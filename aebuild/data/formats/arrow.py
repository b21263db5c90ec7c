"""Arrow tables on disk: the file format of IPC, which feather is too, and its stream; through pyarrow."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from aebuild.data.errors import fault, regular_file, shown
from aebuild.data.rules import TOO_FEW
from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.regular_files import open_regular

ENDINGS = (".arrow", ".arrows", ".feather", ".ipc")
MAGIC, OLD = b"ARROW1", b"FEA1"

OLD_FEATHER = Rule("AE456", "a feather file of the first version", """\
Feather files of version 1 were written before 2020 and are another format than Arrow's. They are not read. Write the table again: pandas,
polars, R's arrow and pyarrow write version 2, which is Arrow's own file format.

```yaml
data: {path: old.feather}          # version 1
```
```python
pyarrow.feather.write_feather(pyarrow.feather.read_table("old.feather"), "new.feather")
```
""")


class ArrowTable:
    """An open Arrow file or stream; a group of rows is a record batch. It is mapped, so that only what is asked for is read."""

    def __init__(self, path: Path) -> None:
        self.path, self.pyarrow = path, importlib.import_module("pyarrow")
        self.ipc: Any = importlib.import_module("pyarrow.ipc")
        if not regular_file(path):
            raise fault(TOO_FEW, f"{shown(path)} is empty")
        with open_regular(path) as file:
            start = file.read(len(MAGIC))
        if start.startswith(OLD):
            raise fault(OLD_FEATHER, f"{shown(path)} is a feather file of version 1, which is not read",
                        Hint("write it again with pyarrow.feather.write_feather, which makes version 2"))
        self.whole = start == MAGIC
        self._mapped = self.pyarrow.memory_map(str(path))
        self.fields: Sequence[Any] = list(self._reader().schema)

    def __enter__(self) -> ArrowTable:
        return self

    def __exit__(self, *_: object) -> None:
        self._mapped.close()

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """The rows of each record batch; no more than a column of each is looked at."""
        if not self.fields:
            return ()
        return tuple(int(batch.num_rows) for batch in self._batches(self._reader([0])))

    def group(self, number: int, columns: Sequence[str]) -> Any:
        """A record batch as a table."""
        places = self._places(columns)
        batch = self._reader(places).get_batch(number) if self.whole else next(self._reader(places, self._alone(number)))
        return self._table([batch], columns)

    def batches(self, most: int, columns: Sequence[str]) -> Iterator[Any]:
        """The rows as record batches of so many at most."""
        for batch in self._batches(self._reader(self._places(columns))):
            for start in range(0, batch.num_rows, most):
                yield from self._table([batch.slice(start, most)], columns).to_batches()

    def read(self, columns: Sequence[str]) -> Any:
        """Columns as one table."""
        if not columns:
            return self.pyarrow.table({"": self.pyarrow.nulls(sum(self.groups))}).select([])
        return self._table(list(self._batches(self._reader(self._places(columns)))), columns)

    def _reader(self, places: Sequence[int] | None = None, source: Any = None) -> Any:
        if source is None:
            source = self._mapped
            source.seek(0)
        options = self.ipc.IpcReadOptions() if not places else self.ipc.IpcReadOptions(included_fields=sorted(places))
        return (self.ipc.open_file if self.whole else self.ipc.open_stream)(source, options=options)

    def _batches(self, reader: Any) -> Iterator[Any]:
        if not self.whole:
            yield from reader
            return
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)

    def _places(self, columns: Sequence[str]) -> list[int]:
        names = [field.name for field in self.fields]
        return [names.index(name) for name in columns]

    def _table(self, batches: list[Any], columns: Sequence[str]) -> Any:
        """Record batches as a table of these columns in this order; what is stored there is checked, since nothing else would."""
        if not batches:
            held = {name: self.fields[place] for name, place in zip(columns, self._places(columns), strict=True)}
            return self.pyarrow.schema(held.values()).empty_table()
        table = self.pyarrow.Table.from_batches(batches).select(list(dict.fromkeys(columns)))
        table.validate(full=True)
        return table

    def _alone(self, number: int) -> Any:
        """A stream of the schema, the dictionaries up to a record batch, and that batch."""
        self._mapped.seek(0)
        kept, seen = [], 0
        while True:
            message = self.ipc.read_message(self._mapped)
            if message.type != "record batch":
                kept.append(message.serialize())
            elif seen == number:
                return self.pyarrow.py_buffer(b"".join([*(held.to_pybytes() for held in kept), message.serialize().to_pybytes()]))
            else:
                seen += 1
