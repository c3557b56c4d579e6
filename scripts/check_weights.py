#!/usr/bin/env python3
"""Weights there and back: the same files give the same features in PyTorch and in this project's programs.

    VENV/bin/python scripts/check_weights.py [--bin build/cpu/bin] [--reference DIR]

Needs torch, timm, safetensors, numpy and Pillow, and the programs patch_features and pretrain. Networks of timm with
random weights are saved and read by patch_features; a backbone that pretrain wrote is read by timm. With DIR, a folder
that holds selfpatch_reference.py (by default ../shared/reference beside the checkout, left out where it is absent),
the same is done with the published positions on other grids, where timm resamples its table in another way.

All in f32. A row is one comparison: the largest difference of a feature, as a share of the largest feature; it passes
below 1e-4. The last line is `weights: N passed, N failed`; status 1 if one failed, 2 if nothing could be compared.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

LIMIT = 1e-4
ROOT = pathlib.Path(__file__).resolve().parent.parent
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

try:
    import numpy as np
    import timm
    import torch
    from PIL import Image
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file
    from timm.models.vision_transformer import VisionTransformer
except ImportError as missing:
    sys.exit(print(f"check_weights.py: {missing}; it needs torch, timm, safetensors, numpy and pillow",
                   file=sys.stderr) or 2)


class ProgramFailed(Exception):
    """A program of ours ended with another status than 0; the text is what it said."""


class Table:
    """Rows as they come, and how many passed and failed."""

    def __init__(self):
        self.passed = self.failed = 0
        print(f"{'weights of':<26} {'read by':<10} {'features':<32} {'pictures':<9} difference")

    def row(self, made_by, read_by, what, size, compare):
        """`compare` returns pairs of equal shape, (ours, theirs)."""
        try:
            difference, note = max(relative_difference(a, b) for a, b in compare()), ""
        except (ProgramFailed, RuntimeError, KeyError) as e:
            difference, note = float("inf"), "  " + str(e).strip().split("\n")[0]
        good = difference < LIMIT
        self.passed += good
        self.failed += not good
        print(f"{made_by:<26} {read_by:<10} {what:<32} {f'{size[0]}x{size[1]}':<9} {difference:.1e}"
              f"  {'pass' if good else 'FAILED'}{note}", flush=True)


def relative_difference(ours, theirs):
    if ours.shape != theirs.shape:
        raise RuntimeError(f"shapes differ: {tuple(ours.shape)} here, {tuple(theirs.shape)} there")
    difference = (ours - theirs).abs().max().item() / theirs.abs().max().item()
    return difference if difference == difference else float("inf")


def randomize(model, seed):
    """Weights of every kind far from where they start, so that a part that is left out or exchanged shows."""
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            x = torch.randn(p.shape, generator=draws)
            if "norm" in name and name.endswith("weight") or name.endswith("gamma"):
                p.copy_(1 + x / 4)
            elif p.dim() == 1:
                p.copy_(x / 10)
            elif name.endswith(("_token", "pos_embed")):
                p.copy_(x / 2)
            else:
                p.copy_(x * p[0].numel() ** -0.5)
    return model.eval()


def tensors_of(model):
    return {name: p.detach().clone().contiguous() for name, p in model.state_dict().items()}


class Programs:
    """Our programs, their pictures and files in one folder."""

    def __init__(self, folder, scratch):
        self.folder, self.scratch = folder, scratch

    def run(self, name, *arguments):
        done = subprocess.run([self.folder / name, *map(str, arguments), "--quiet"], text=True, capture_output=True)
        if done.returncode != 0:
            raise ProgramFailed(f"status {done.returncode}: {done.stderr}")

    def pictures(self, size, count=2):
        """PNG files of width x height: rough spots under fine noise."""
        draws = np.random.default_rng(size[0] * 10007 + size[1])
        files = []
        for i in range(count):
            spots = Image.fromarray(draws.integers(0, 256, (7, 9, 3), dtype=np.uint8)).resize(size, Image.BICUBIC)
            noise = draws.integers(-20, 21, (size[1], size[0], 3))
            files.append(self.scratch / f"{size[0]}x{size[1]}-{i}.png")
            Image.fromarray(np.clip(np.asarray(spots) + noise, 0, 255).astype(np.uint8)).save(files[-1])
        return files

    def features(self, weights, files, layers=1):
        """(patches (B, N, layers * W), image (B, layers * W))"""
        out = self.scratch / "features.safetensors"
        self.run("patch_features", *files, "--weights", weights, "--out", out, "--layers", layers)
        found = load_file(out)
        return found["patches"].flatten(1, 2), found["image"]


def as_batch(files, mean, std):
    x = np.stack([np.asarray(Image.open(f).convert("RGB"), dtype=np.float32) / 255 for f in files])
    return torch.from_numpy((x - np.float32(mean)) / np.float32(std)).permute(0, 3, 1, 2).contiguous()


def normalization_of(weights):
    """What a backbone of ours says it was trained with."""
    with safe_open(weights, "pt") as file:
        about = file.metadata() or {}
    return tuple(tuple(map(float, about[key].split())) for key in ("mean", "std"))


def compare_saved(table, programs, made_by, read_by, model, tokens, size, layers=1):
    """A network's weights to a file; its tokens against those of patch_features."""
    weights = programs.scratch / "weights.safetensors"
    save_file(tensors_of(model), weights)
    compare_read(table, programs, made_by, read_by, weights, IMAGENET, tokens, size, layers)


def compare_read(table, programs, made_by, read_by, weights, normalization, tokens, size, layers=1):
    """`tokens(x, layers)` returns (class token or None, patches) of a batch; tokens.has_class says which."""
    def compare():
        files = programs.pictures(size)
        with torch.inference_mode():
            first, patches = tokens(as_batch(files, *normalization), layers)
        ours, image = programs.features(weights, files, layers)
        yield ours, patches
        yield image, patches.mean(1) if first is None else first

    what = "patches, " + ("class token" if tokens.has_class else "mean")
    table.row(made_by, read_by, what + (f", {layers} layers" if layers > 1 else ""), size, compare)


def timm_tokens(model):
    """A timm network as tokens(x, layers), after the final norm where it has one."""
    def tokens(x, layers):
        if layers == 1:
            all_tokens = model.forward_features(x)
            return all_tokens[:, 0] if model.has_class_token else None, all_tokens[:, model.num_prefix_tokens:]
        found = model.forward_intermediates(x, indices=layers, norm=True, output_fmt="NLC", intermediates_only=True,
                                            return_prefix_tokens=model.has_class_token)
        if not model.has_class_token:
            return None, torch.cat(found, -1)
        return torch.cat([prefix[:, 0] for _, prefix in found], -1), torch.cat([patches for patches, _ in found], -1)

    tokens.has_class = model.has_class_token
    return tokens


def reference_tokens(backbone):
    def tokens(x, layers):
        joined = torch.cat(backbone.intermediate(x, layers), -1)
        return (joined[:, 0], joined[:, 1:]) if backbone.class_token else (None, joined)

    tokens.has_class = backbone.class_token
    return tokens


def check_timm(table, programs):
    """Networks of timm. Its DINO resamples positions unlike the published code, so there only the table's own grid
    counts; DINOv2 is published with timm's way, so other grids count too."""
    dino = randomize(VisionTransformer(img_size=224, patch_size=16, embed_dim=384, depth=12, num_heads=6,
                                       num_classes=0), 1)
    for layers in (1, 4):
        compare_saved(table, programs, "timm DINO ViT-S/16", "ours", dino, timm_tokens(dino), (224, 224), layers)
    for name, made_by in (("vit_small_patch14_dinov2", "timm DINOv2 ViT-S/14"),
                          ("vit_small_patch14_reg4_dinov2", "timm DINOv2 ViT-S/14 reg4")):
        model = randomize(timm.create_model(name, pretrained=False, num_classes=0, img_size=224,
                                            dynamic_img_size=True), 2)
        for size, layers in (((224, 224), 1), ((308, 182), 1), ((98, 140), 2)):
            compare_saved(table, programs, made_by, "ours", model, timm_tokens(model), size, layers)


def check_reference(table, programs, reference):
    for class_token, made_by in ((False, "reference SelfPatch ViT-S"), (True, "reference DINO ViT-S")):
        backbone = randomize(reference.Backbone(reference.VIT_SMALL, class_token), 3)
        for size, layers in (((224, 224), 1), ((320, 208), 1), ((96, 144), 4)):
            compare_saved(table, programs, made_by, "ours", backbone, reference_tokens(backbone), size, layers)


def check_pretrained(table, programs, reference):
    """What pretrain writes, read with strict names by others."""
    run = programs.scratch / "run"
    programs.run("pretrain", "scenes:32", "--arch", "vit_tiny16", "--global-size", 96, "--local-size", 32, "--batch", 4,
                 "--out-dim", 64, "--patch-out-dim", 64, "--head-hidden", 32, "--head-bottleneck", 16, "--steps", 2,
                 "--out", run)
    weights = run / "backbone.safetensors"
    normalization = normalization_of(weights)
    model = VisionTransformer(img_size=96, patch_size=16, embed_dim=192, depth=12, num_heads=3, num_classes=0,
                              class_token=False, global_pool="avg", fc_norm=False, final_norm=False).eval()
    model.load_state_dict(load_file(weights), strict=True)
    for layers in (1, 2):
        compare_read(table, programs, "our pretrain, ViT-Ti", "timm", weights, normalization, timm_tokens(model),
                     (96, 96), layers)
    if reference is None:
        return
    backbone = reference.Backbone(reference.Architecture(embed=192, heads=3, table=96)).eval()
    backbone.load_state_dict(load_file(weights), strict=True)
    for size in ((96, 96), (160, 112)):
        compare_read(table, programs, "our pretrain, ViT-Ti", "reference", weights, normalization,
                     reference_tokens(backbone), size)


def load_reference(folder):
    """The module, or nothing where it is not there."""
    if not (folder / "selfpatch_reference.py").is_file():
        print(f"skipped: the comparisons with selfpatch_reference.py, which is not in {folder}")
        return None
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    import selfpatch_reference
    return selfpatch_reference


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/cpu/bin", help="folder of the programs")
    parser.add_argument("--reference", type=pathlib.Path, default=ROOT.parent / "shared/reference",
                        help="folder of selfpatch_reference.py")
    options = parser.parse_args()
    for name in ("patch_features", "pretrain"):
        if not (options.bin / name).is_file():
            print(f"check_weights.py: {options.bin / name} is not there: build the preset cpu, or name another folder "
                  "with --bin", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(prefix="selfpatch-weights-") as scratch:
        programs = Programs(options.bin.resolve(), pathlib.Path(scratch))
        reference = load_reference(options.reference)
        table = Table()
        check_timm(table, programs)
        if reference is not None:
            check_reference(table, programs, reference)
        try:
            check_pretrained(table, programs, reference)
        except (ProgramFailed, RuntimeError) as e:
            table.failed += 1
            print(f"our pretrain, ViT-Ti: FAILED  {str(e).strip()}")
    print(f"weights: {table.passed} passed, {table.failed} failed")
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
