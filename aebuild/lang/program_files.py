"""Programs in files that losses and layers name."""

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

NO_LAYER = Rule("AE854", "a program that cannot be a layer here", """\
A `pretrained` layer is a program in a file: TorchScript (.pt, .ts) or what torch.export wrote (.pt2), one tensor [N, ...] to one. It must
be there, have the SHA-256 that the spec or the run says, and take what stands in front of it. A run keeps the program's weights, but not
what it computes, so the file must stay where it was. Checking a spec tries the program on a few samples of zeros.

```yaml
encoder: [pretrained: {path: no_such_file.pt2}, linear: 32]
decoder: [linear: 64]
```
```yaml
encoder: [linear: 64, linear: 32]
decoder: [linear: 64]
```
""")
