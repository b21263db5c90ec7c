"""The rules that keep a spec data: what of YAML a spec may not use."""

from __future__ import annotations

from aebuild.lang.diagnostics import Rule

MAX_DEPTH = 32
MAX_NODES = 60_000

EMPTY = Rule("AE004", "the file is empty", """\
There is nothing in the file but blanks and comments. The shortest spec names an encoder and a latent:

```yaml
# nothing yet
```

```yaml
encoder: [linear: 256]
latent: {type: continuous, dim: 32}
```
""")

NO_MAPPING = Rule("AE005", "a spec is a mapping of keys to values", """\
At the top of a spec stand keys such as `encoder` and `latent`, each with a colon, a space and a value. A list or a bare
word there names nothing. A forgotten space after the colon is the usual cause: `name:vqvae` is one word.

```yaml
- encoder: [linear: 256]
- latent: {type: continuous, dim: 32}
```

```yaml
encoder: [linear: 256]
latent: {type: continuous, dim: 32}
```
""")

TOO_DEEP = Rule("AE006", "nested deeper than 32 levels", """\
A list in a list in a list, more than 32 deep, is either a slip (brackets opened and never closed) or an attack on the
reader. Real specs stay under ten levels. Networks that repeat themselves use `repeat` instead of nesting.

```yaml
encoder: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[conv]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
```

```yaml
encoder:
  - repeat: {times: 33, steps: [{conv: {width: 64, norm: group}}]}
```
""")

TOO_MANY = Rule("AE007", "more than 60,000 keys and values", """\
A spec with more than 60,000 keys and values is not written by hand. The bound keeps the time to read any file under a
second. Give long lists of numbers as a data file, and repeated layers as `depth` or `repeat`.

```yaml
encoder: [linear: 64, linear: 64, linear: 64]      # and 60,000 more
```

```yaml
encoder: {layer: linear, depth: 9000, width: 64}
```
""")

NO_LIBYAML = Rule("AE008", "PyYAML was installed without libyaml", """\
Specs are read by libyaml, which comes with every PyYAML wheel. A PyYAML that was compiled from source without it has only a
parser in Python, which takes some thirty times as long and can be stalled by a hostile file. Install the wheel:

```sh
pip install --force-reinstall --only-binary :all: pyyaml
```
""")

DUPLICATE = Rule("AE013", "a key is written twice", """\
Most YAML readers silently take the last of two equal keys, so the value you look at may not be the one in force. Keep
one of them.

```yaml
train:
  epochs: 10
  batch_size: 128
  epochs: 60
```

```yaml
train:
  epochs: 60
  batch_size: 128
```
""")

NO_NAME = Rule("AE014", "a key that is not a name", """\
Keys are names. An unquoted `1`, `true` or `null` before a colon is a number, a truth value or nothing, and a key that is missing
altogether is nothing too. In quotes it is a name.

```yaml
heads:
  1: {predicts: label}
```

```yaml
heads:
  "1": {predicts: label}
```
""")

COMPLEX_KEY = Rule("AE015", "a list or mapping used as a key", """\
YAML lets a whole list or mapping stand as a key (`? [a, b]`), which nothing in a spec needs. Usually a `?`, or a
bracket in front of a colon, was not meant as YAML's at all.

```yaml
? [encoder, decoder]
: {layer: linear, width: 64}
```

```yaml
encoder: {layer: linear, width: 64}
decoder: {layer: linear, width: 64}
```
""")

ANCHOR = Rule("AE020", "anchors are not part of the language", """\
`&name` marks a value for reuse elsewhere in the file. A file with anchors cannot be read from top to bottom, and a few lines of
them can stand for gigabytes. Shared settings live in a file of their own, which `extends` names. Text that begins with `&`
wants quotes.

```yaml
encoder: &half {layer: conv, width: [64, 128]}
```

```yaml
encoder: {layer: conv, width: [64, 128]}
decoder: mirror          # in place of a second use of `half`
```
""")

ALIAS = Rule("AE021", "aliases are not part of the language", """\
`*name` repeats a value that was marked with `&name`. Nested, a few lines of them can stand for gigabytes. Write the value
out, use `mirror` for the decoder, or share a file with `extends`. Text that begins with `*` wants quotes.

```yaml
decoder: *half
```

```yaml
decoder: mirror
```
""")

MERGE = Rule("AE022", "merge keys are not part of the language", """\
`<<:` copies the keys of another mapping, by rules that differ between YAML readers and were dropped from YAML 1.2. Use `extends`
to build one spec on another: mappings are merged by key, `null` deletes.

```yaml
<<: *defaults
train: {epochs: 60}
```

```yaml
extends: defaults.yaml
train: {epochs: 60}
```
""")

TAG = Rule("AE023", "tags are not part of the language", """\
A tag (`!!python/object`, `!env`, `!include`) asks the reader to run code or to convert a value. A spec is data, never code, so
there are none. For text that looks like a number use quotes instead of `!!str`; text that begins with `!` wants quotes.

```yaml
name: !!str 123
```

```yaml
name: "123"
```
""")

DIRECTIVE = Rule("AE024", "directives are not part of the language", """\
A line that begins with `%` (`%YAML 1.1`, `%TAG`) changes how the rest is read. A spec is always read the same way: delete the
line and the `---` after it.

```yaml
%YAML 1.1
---
name: vae
```

```yaml
name: vae
```
""")

DOCUMENTS = Rule("AE025", "more than one document in the file", """\
A line `---` begins another document in the same file. One file is one spec; only the first document is read. Put the others
into files of their own and give all of them to the command.

```yaml
name: small
---
name: large
```

```yaml
name: small
```
""")
