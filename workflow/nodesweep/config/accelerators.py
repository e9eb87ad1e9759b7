"""Peaks of accelerators in each number format: dense figures (no sparsity) of one of them, in 1e12 FLOP/s, with source.

A format that a chip has no unit for, or that its maker gives no figure of, is left out. fp32 is that of plain fp32
products, which NVIDIA's tensor cores do not do. Where a source gives figures with sparsity alone, half of them stands
here; where it gives those of a board or rack, the share of one.

Most figures were compared with pages that quote these sources, not with the sources themselves: before you publish a
utilization, look yours up, and type it as peak_tflops where it differs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .layout_words import Precision


@dataclass(frozen=True)
class Accelerator:
    """What one device can do at best in each format; `clocked`: the same by clock in GHz, where a job may choose it."""

    title: str
    source: str
    tflops: Mapping[Precision, float]
    clocked: Mapping[float, Mapping[Precision, float]] = field(default_factory=dict)

    @property
    def tables(self) -> list[tuple[float | None, Mapping[Precision, float]]]:
        """Peaks by format, and the clock they hold for; None for every clock."""
        return [*([(None, self.tflops)] if self.tflops else []), *self.clocked.items()]


_HOPPER_SXM: dict[Precision, float] = {"fp32": 66.9, "tf32": 494.7, "bf16": 989.4, "fp16": 989.4, "fp8": 1978.9}
_CDNA3: dict[Precision, float] = {"fp32": 163.4, "tf32": 653.7, "bf16": 1307.4, "fp16": 1307.4, "fp8": 2614.9}
_BLACKWELL: dict[Precision, float] = {"tf32": 1125, "bf16": 2250, "fp16": 2250, "fp8": 4500, "mxfp8": 4500}
_GRACE_BLACKWELL: dict[Precision, float] = {"tf32": 1250, "bf16": 2500, "fp16": 2500, "fp8": 5000, "mxfp8": 5000}

ACCELERATORS: Mapping[str, Accelerator] = {
    "a100": Accelerator(
        "NVIDIA A100, SXM or PCIe, 40 or 80 GB",
        "NVIDIA A100 Tensor Core GPU data sheet, 2021",
        {"fp32": 19.5, "tf32": 156, "bf16": 312, "fp16": 312},
    ),
    "h100-sxm": Accelerator("NVIDIA H100 SXM5", "NVIDIA H100 Tensor Core GPU Architecture, white paper", _HOPPER_SXM),
    "h100-pcie": Accelerator(
        "NVIDIA H100 PCIe",
        "NVIDIA H100 Tensor Core GPU Architecture, white paper",
        {"fp32": 51.2, "tf32": 378, "bf16": 756, "fp16": 756, "fp8": 1513},
    ),
    "h100-nvl": Accelerator(
        "NVIDIA H100 NVL",
        "NVIDIA H100 Tensor Core GPU data sheet, 2024, halves of figures with sparsity",
        {"fp32": 60, "tf32": 417.5, "bf16": 835.5, "fp16": 835.5, "fp8": 1670.5},
    ),
    "h200-sxm": Accelerator(
        "NVIDIA H200 SXM", "NVIDIA H200 Tensor Core GPU data sheet, 2024: the units of an H100 SXM5", _HOPPER_SXM
    ),
    "b200": Accelerator(
        "NVIDIA B200 of an HGX or DGX B200",
        "NVIDIA Blackwell data sheet, 2025, HGX B200: an eighth of 72 PFLOPS NVFP4 dense, halves of the others",
        {**_BLACKWELL, "fp32": 75, "nvfp4": 9000},
    ),
    "b300": Accelerator(
        "NVIDIA B300 of an HGX or DGX B300",
        "NVIDIA HGX platform specifications, 2025, HGX B300: an eighth of half of 72 PFLOPS fp8 with sparsity",
        {**_BLACKWELL, "fp32": 75},
    ),
    "gb200": Accelerator(
        "NVIDIA Blackwell GPU of a GB200 superchip, which has two",
        "NVIDIA GB200 NVL72 specifications, 2024: 1/72 of 720 PFLOPS NVFP4 dense, halves of the others",
        {**_GRACE_BLACKWELL, "fp32": 80, "nvfp4": 10000},
    ),
    "gb300": Accelerator(
        "NVIDIA Blackwell Ultra GPU of a GB300 superchip, which has two",
        "NVIDIA GB300 NVL72 specifications, 2025: 1/72 of 1080 PFLOPS NVFP4 dense, halves of the others",
        {**_GRACE_BLACKWELL, "nvfp4": 15000},
    ),
    "mi250x-gcd": Accelerator(
        "one of the two GCDs of an AMD Instinct MI250X, which programs see as a GPU",
        "AMD Instinct MI250X data sheet, 2021: half of 383.0 (fp16, bf16) and 95.7 (fp32 matrix)",
        {"fp32": 47.85, "bf16": 191.5, "fp16": 191.5},
    ),
    "mi300x": Accelerator("AMD Instinct MI300X", "AMD Instinct MI300X data sheet, 2023", _CDNA3),
    "mi325x": Accelerator("AMD Instinct MI325X", "AMD Instinct MI325X data sheet, 2024", _CDNA3),
    "mi355x": Accelerator(
        "AMD Instinct MI355X",
        "AMD Instinct MI355X data sheet, 2025",
        {"fp32": 157.3, "bf16": 2516.6, "fp16": 2516.6, "fp8": 5033.2},
    ),
    "a64fx": Accelerator(
        "Fujitsu A64FX with 48 cores, both floating-point pipelines at work",
        "Fujitsu A64FX Microarchitecture Manual: 48 cores x 2 pipelines x 512 bits, multiply and add each cycle",
        {},
        {2.0: {"fp32": 6.144, "fp16": 12.288}, 2.2: {"fp32": 6.7584, "fp16": 13.5168}},
    ),
    "tpu-v5p": Accelerator("Google TPU v5p chip", "Google Cloud TPU documentation, TPU v5p", {"bf16": 459}),
    "tpu-v6e": Accelerator("Google TPU v6e (Trillium) chip", "Google Cloud TPU documentation, TPU v6e", {"bf16": 918}),
    "gaudi3": Accelerator(
        "Intel Gaudi 3, OAM", "Intel Gaudi 3 AI Accelerator, Hot Chips 2024", {"bf16": 1835, "fp8": 1835}
    ),
}
"""The accelerators that a machine may name, by name."""
