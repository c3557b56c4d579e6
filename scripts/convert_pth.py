#!/usr/bin/env python3
"""A published .pth checkpoint as a safetensors file.

  scripts/convert_pth.py checkpoint.pth vit_small.safetensors --backbone-only
  scripts/convert_pth.py checkpoint.pth student.safetensors --key student

Reads SelfPatch and DINO checkpoints (a dict with `student` and `teacher`), and plain dicts of weights as DINO and timm
publish them. Names lose `module.`; with --backbone-only only the backbone is kept and its names lose `backbone.` too,
which are the names timm and the programs here use.

Unpickling can run code, so the file is read with torch's weights_only, which makes tensors and plain containers only;
argparse.Namespace (the `args` of these checkpoints) is allowed beside them, nothing else, and there is no way around.
Needs torch 2.5 or newer. Exit status: 0 done, 2 bad input, 73 cannot write.
"""

import argparse
import ctypes
import json
import os
import re
import struct
import sys

WRAPPERS = ("teacher", "student", "state_dict", "model")
SIZES = {192: "tiny", 384: "small", 768: "base", 1024: "large"}  # heads of 64 wide in all of them


class Refusal(Exception):
    """What is wrong, in one line, and the exit status."""

    def __init__(self, sentence, status=2):
        super().__init__(sentence)
        self.status = status


def load(path):
    try:
        import torch
    except ImportError:
        raise Refusal("needs torch: pip install torch") from None
    if not hasattr(torch.serialization, "safe_globals"):
        raise Refusal(f"needs torch 2.5 or newer for safe loading, found {torch.__version__}")
    if not os.path.isfile(path):
        raise Refusal(f"cannot read {path}: no such file")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # torch raises many kinds for files that are not its own
        # Its own words for a refused object go on to advise an unsafe load.
        refused = re.search(r"GLOBAL (\S+)", str(e))
        why = f"it asks for {refused[1]}" if refused else " ".join(str(e).split())[:120]
        raise Refusal(f"cannot read {path}: not a checkpoint that loads without running code ({why})") from None


def weights_of(content, key, path):
    """The dict of tensors inside a checkpoint."""
    if not isinstance(content, dict):
        raise Refusal(f"cannot read {path}: expected a dict, found {type(content).__name__}")
    found = [k for k in WRAPPERS if isinstance(content.get(k), dict)]
    if key:
        if key not in found:
            raise Refusal(f"cannot read {path}: no {key} in it; found {', '.join(map(str, list(content)[:8]))}")
        return content[key]
    return content[found[0]] if found else content


def published_name(name):
    """Without what wrapping added, with weight normalisation as the published files spell it."""
    name = name.removeprefix("module.")
    name = name.replace(".parametrizations.weight.original0", ".weight_g")
    return name.replace(".parametrizations.weight.original1", ".weight_v")


def renamed(weights, backbone_only, path):
    import torch

    named = {}
    for name, value in weights.items():
        if not isinstance(value, torch.Tensor):
            raise Refusal(f"cannot read {path}: {name}; expected a tensor, found {type(value).__name__}")
        named[published_name(str(name))] = value
    if len(named) != len(weights):
        raise Refusal(f"cannot read {path}: two weights have the same name without `module.`")
    if not backbone_only:
        return named
    if any(n.startswith("backbone.") for n in named):
        return {n.removeprefix("backbone."): v for n, v in named.items() if n.startswith("backbone.")}
    return {n: v for n, v in named.items() if not re.match(r"((ca_|c_|p_)?head|fc_norm)\.", n)}


def description(weights, position):
    """What the programs want to know of a backbone, read off its shapes."""
    for needed in ("pos_embed", "patch_embed.proj.weight"):
        if needed not in weights:
            raise Refusal(f"no backbone in it: {needed} is missing; found {', '.join(list(weights)[:5])}")
    width, patch = weights["pos_embed"].shape[-1], weights["patch_embed.proj.weight"].shape[-1]
    family = "dinov2" if "blocks.0.ls1.gamma" in weights else "dino" if "cls_token" in weights else "vit"
    registers = "_registers" if "reg_token" in weights else ""
    about = {"patch": str(patch), "position": position, "mean": "0.485 0.456 0.406", "std": "0.229 0.224 0.225"}
    if width in SIZES:
        about |= {"architecture": f"{family}_{SIZES[width]}{patch}{registers}", "heads": str(width // 64)}
    return dict(sorted(about.items()))


def stored(name, tensor):
    """dtype name and little-endian bytes of a tensor."""
    import torch

    names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
             torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
             torch.bool: "BOOL"}
    if tensor.dtype not in names:
        raise Refusal(f"{name}: expected a real or integer type, found {tensor.dtype}")
    whole = tensor.detach().contiguous()
    # By address: numpy, which would do it too, may not be installed and knows no bfloat16.
    return names[tensor.dtype], ctypes.string_at(whole.data_ptr(), whole.numel() * whole.element_size())


def write(path, tensors, metadata):
    header, chunks, at = {"__metadata__": metadata} if metadata else {}, [], 0
    for name, tensor in tensors.items():
        dtype, data = stored(name, tensor)
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [at, at + len(data)]}
        chunks.append(data)
        at += len(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    temporary = f"{path}.tmp.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as e:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise Refusal(f"cannot write {path}: {e.strerror}", 73) from None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", help="a .pth file")
    parser.add_argument("output", help="the .safetensors file to write")
    parser.add_argument("--key", choices=["teacher", "student"], help="which network of a checkpoint (default: teacher)")
    parser.add_argument("--backbone-only", action="store_true", help="only the backbone, without prefix")
    parser.add_argument("--position", choices=["offset", "plain", "antialias"], default="offset",
                        help="how position tables are resized: offset as SelfPatch and DINO (default), antialias as timm")
    options = parser.parse_args()
    try:
        weights = weights_of(load(options.input), options.key, options.input)
        tensors = renamed(weights, options.backbone_only, options.input)
        if not tensors:
            raise Refusal(f"cannot read {options.input}: no weights left of {len(weights)}")
        write(options.output, tensors, description(tensors, options.position) if options.backbone_only else {})
    except Refusal as e:
        print(f"convert_pth.py: {e}", file=sys.stderr)
        return e.status
    count = sum(t.numel() for t in tensors.values())
    print(f"{options.output}: {len(tensors)} tensors, {count} values")
    return 0


if __name__ == "__main__":
    sys.exit(main())
