"""The findings about data, AE4xx; the readers beside this file report them."""

from __future__ import annotations

from aebuild.lang.diagnostics import Rule

MISSING = Rule("AE401", "data that cannot be opened", """\
The file or folder does not exist, is of another kind (a folder where a file is wanted, a device, a loop of links), or may not be
read. A relative path starts from the folder of the spec, not from where the command runs; `~` and `$HOME` are not expanded.

```yaml
data: {path: ~/photos/}
```
```yaml
data: {path: ../photos/}
```
""")

UNKNOWN_KIND = Rule("AE402", "data of no known kind", """\
The kind of data is told from the path: a folder of images (or of one folder a class), a `.npz` or `.npy` array, an IDX file or a
folder of them, a `.csv`, `.tsv`, `.parquet`, `.arrow` or `.feather` table or a folder of the last three, the same as a series where
`window` is given, `.txt` and `.jsonl` texts, a folder of recordings, and `.tar` archives in WebDataset's layout. Pickles (`.pkl`,
`.pt`, `.joblib`) are never opened: reading one can run any program. Save their arrays with `numpy.savez` instead.

```yaml
data: {path: faces.pkl}
```
```yaml
data: {path: faces.npz}
```
""")

DAMAGED = Rule("AE403", "a damaged file", """\
The file does not hold what its name or its own header promises: it is cut short, has bytes left over, fails its checksum, or is of
another format. The message names the file and, where it can, the record. Copy or download the file again; a known data set is
downloaded again once its damaged file is deleted.

```yaml
data: {path: digits.npz}     # the copy stopped half way
```
```yaml
data: {path: digits.npz}     # copied again
```
""")

TOO_LARGE = Rule("AE404", "data larger than the memory", """\
The header promises more than this machine can hold, or more than the compressed bytes can contain. The check comes before anything
is unpacked, so that a compression bomb costs nothing. Use fewer columns, a smaller `size`, or leave the data on disk: folders of
images, .parquet and .arrow tables, .tar archives and .npy can be read batch by batch.

```yaml
data: {path: photos/, stream: false}        # a million large images
```
```yaml
data: {path: photos/, stream: true}
```
""")

NOT_FINITE = Rule("AE405", "a value that is not a finite number", """\
An empty cell, a word, NaN or infinity stands where a number is needed. One such value would turn every weight into NaN. Nothing is
filled in or dropped silently: mend the file, or choose other columns.

```yaml
data: {path: sales.csv}                     # column note holds words
```
```yaml
data: {path: sales.csv, columns: [price, amount]}
```
""")

MIXED = Rule("AE406", "images that differ", """\
All images must have the same height, width and channels. Sizes may differ where `size` says what to resize and crop them to. Kinds
may differ where `channels` says which one is meant.

```yaml
data: {path: photos/}
```
```yaml
data: {path: photos/, size: [64, 64], channels: rgb}
```
""")

TOO_FEW = Rule("AE407", "a part without samples", """\
Training, validation and test each need at least one sample. Too few are there, the shares leave a part empty, or `exclude` left out
everything.

```yaml
data: {path: two_rows.csv, split: {validation: 0.1}}
```
```yaml
data: {path: two_hundred_rows.csv, split: {validation: 0.1}}
```
""")

OBJECTS = Rule("AE408", "an array of Python objects", """\
Arrays of objects are stored as pickles, and reading a pickle can run any program, so they are never opened. They mostly come from
lists of unequal length. Save arrays of numbers instead (labels may be text).

```python
np.savez("data.npz", x=np.array(rows, dtype=object))
```
```python
np.savez("data.npz", x=np.array(rows, dtype=np.float32))
```
""")

NO_SUCH_NAME = Rule("AE409", "no such column or array", """\
A column or an array that the spec names is not in the file, two have the same name, or several arrays could be the samples and the
spec does not say which. Columns are named as in the first line; without a line of names they are counted from 0.

```yaml
data: {path: sales.csv, columns: [prize]}
```
```yaml
data: {path: sales.csv, columns: [price]}
```
""")

BAD_LABELS = Rule("AE410", "labels that do not fit", """\
Labels are whole numbers or words, one for each sample; -1 or an empty cell means that the label is not known. `labels` cannot ask
for more known labels than there are training samples, and `exclude` must name a class that occurs.

```yaml
data: {type: mnist, exclude: {label: eleven}}
```
```yaml
data: {type: mnist, exclude: {label: 1}}
```
""")

DISAGREE = Rule("AE411", "samples, labels and targets of unequal number", """\
Samples belong together by their order, so there must be as many labels and targets as samples, and the training and the test part
must hold the same type.

```python
np.savez("data.npz", x=images, y=labels[:-1])
```
```python
np.savez("data.npz", x=images, y=labels)
```
""")

UNDECLARED = Rule("AE412", "data that differ from what the spec declares", """\
`shape` (and `classes` beside it) say what the data are, so that a spec can be checked without them. When they are read they must be
that. `shape` is what the encoder gets, after `size`, `pad` and `window`.

```yaml
data: {path: photos/, size: 64, shape: [3, 32, 32]}
```
```yaml
data: {path: photos/, size: 64, shape: [3, 64, 64]}
```
""")

UNFIT = Rule("AE413", "an option that does not fit the data", """\
The option means nothing for data of this type: `size` and `pad` are for images, `exclude` and `labels` for data with labels, and a
test or validation part that the data bring along is kept as it is, so `split` cannot ask for another. Text tables and packed
arrays cannot be read from the middle, so not with `stream: true`.

```yaml
data: {path: table.npz, size: [32, 32]}
```
```yaml
data: {path: table.npz}
```
""")

DOWNLOAD = Rule("AE414", "a data set that is neither here nor to be had", """\
A known data set is looked for under `data.root`, else under the environment variable `AEBUILD_DATA`, else in the cache folder, and
downloaded if it is absent. Without a network, put the files that the message names where it says. A file whose checksum differs
from the published one is never kept.

```yaml
data: mnist                                 # no network, nothing under AEBUILD_DATA
```
```yaml
data: {type: mnist, root: /data}            # /data/mnist/train-images-idx3-ubyte.gz and three more
```
""")

EXTRA = Rule("AE415", "a package that is not installed", """\
Some kinds of data need a package that aebuild does not install by itself. The message has the command.

```yaml
data: {path: table.parquet}
```
```sh
pip install pyarrow
```
""")

WINDOWS = Rule("AE416", "windows that do not fit the series", """\
A series is divided in blocks of time: the first block trains, the next validates, the last tests, and no window crosses a border.
Each block must be at least one window long. A table read as a series needs a `window`.

```yaml
data: {path: load.csv, window: {length: 500}}            # 1,000 rows: the last tenth has 100
```
```yaml
data: {path: load.csv, window: {length: 100}}
```
""")

NOT_WHOLE = Rule("AE417", "values that are not whole numbers", """\
`scale: integer` keeps the values as they are and promises whole numbers, for likelihoods of counts and categories.

```yaml
data: {path: prices.csv, scale: integer}
```
```yaml
data: {path: prices.csv, scale: standard}
```
""")

FOREIGN_FORMAT = Rule("AE418", "an image of a format that is not read", """\
Images are PNG, JPEG, BMP, GIF, TIFF, WebP or PPM, whatever their name says. Other formats are never tried: to read PostScript, for
one, means to run it as a program. Convert the images, or take files of that kind out of the folder.

```yaml
data: {path: drawings/}      # logo.png begins with %!PS-Adobe-3.0: it is PostScript
```
```yaml
data: {path: drawings/}      # logo.png converted to PNG
```
""")

UNREADABLE_NUMBERS = Rule("AE419", "an image whose numbers cannot be kept", """\
Grey images keep 8 bits, 16 bits, whole numbers with a sign and float32 as they are. Other numbers would come out as different ones:
32 bits without a sign, 8 bits with one, or more than 8 bits turned into colour. They are refused instead.

```yaml
data: {path: scans/, channels: rgb}        # grey TIFF of 16 bits
```
```yaml
data: {path: scans/, channels: gray}
```
""")

MERGED = Rule("AE423", "different values that become the same number", """\
Models compute with 32-bit numbers, which hold seven digits; values are scaled in 64 bits before, which hold sixteen. A column of
integers beyond 2^53 (identifiers, hashes, bit fields), or of small steps on a large constant without scaling, loses its differences on
the way: the column would be a constant, and the loss 0.

```yaml
data: {path: events.csv, scale: none}          # column t: 1700000000.001, 1700000000.002, ...
```
```yaml
data: {path: events.csv, scale: standard}
```
""")

SEVERAL = Rule("AE424", "a table of several series without `group`", """\
A column of words that repeat beside the numbers of a series is mostly the name of a machine, a patient or a shop: the table holds
several series. Windows cut through all rows would begin in one and end in another. `group` names the column, and each series is cut
for itself. Where the words mean something else, name the input under `columns`.

```yaml
data: {path: machines.csv, window: {length: 20}}                   # machine, time, load
```
```yaml
data: {path: machines.csv, window: {length: 20}, group: machine}
```
""")
