"""Programs in files that losses name."""

from __future__ import annotations

from aebuild.lang.diagnostics import Rule

NO_PROGRAM = Rule("AE378", "a loss by a program that cannot be had", """\
A perceptual loss compares the features that a program of your own gives: TorchScript, or what torch.export wrote, in a file that is there
before training begins. Its SHA-256 must be the one that the spec has, where it has one, and it must take samples of these data. Nothing
is downloaded. `torch.jit.script(network.eval()).save("vgg.pt")` writes one.

```yaml
losses: {perceptual: {path: no_such_file.pt}}
```
```yaml
losses: {structure: {type: ssim, window: 7}}
```
""")
