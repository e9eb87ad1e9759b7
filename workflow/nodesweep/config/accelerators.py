"""Peaks of accelerators in each number format: dense figures (no sparsity) of one of them, in 1e12 FLOP/s, with source.

A format that a chip has no unit for, or that no source named here gives a figure of, is left out. fp32 is that of plain
fp32 products, which NVIDIA's tensor cores do not do. Where a source gives figures with sparsity alone, half of them
stands here; where it gives those of a board or rack, the share of one.

Each figure was read in the sources that its row names; SOURCES says where. NVIDIA's white paper and data sheets of
Hopper and Blackwell were read in public copies, AMD's (but for its ROCm pages) and Intel's in tables that others keep.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .layout_words import Precision

SOURCES: Mapping[str, str] = {
    "Ampere article": "NVIDIA, https://developer.nvidia.com/blog/nvidia-ampere-architecture-in-depth",
    "Hopper white paper": "NVIDIA, as https://glennklockwood.com/garden/processors/h100 quotes it",
    "H100 page": "NVIDIA, with sparsity, as https://archive-lib.hpctech.co.jp/gpuproduct/nvidia-h100.html copies it",
    "PowerCapping": "https://github.com/mredenti/PowerCapping, configuration/OpenCL_benchmark.md, read from a GH200",
    "L40S data sheet": "NVIDIA, as https://www.mullet.se/product.html?product_id=355414 copies it",
    "Blackwell data sheets": "NVIDIA, as https://zdszero.github.io/Computer/Artificial_Intelligence/Hardware.html "
    "(with sparsity) and, of Blackwell Ultra, https://verda.com/blog/gb300-nvl72-architecture copy them",
    "HGX page": "NVIDIA, with sparsity, of 8, as https://fibermall.com/blog/?p=17161 copies it",
    "Blackwell Ultra article": "NVIDIA, "
    "https://developer.nvidia.com/blog/inside-nvidia-blackwell-ultra-the-chip-powering-the-ai-factory-era",
    "DGX Cloud benchmarks": "NVIDIA, https://github.com/NVIDIA/dgxc-benchmarking, Peak Theoretical Throughput",
    "ROCm pages": "AMD, https://rocm.docs.amd.com/en/latest/conceptual/gpu-arch/mi300.html, and mi250, mi100",
    "matrix cores": "AMD, https://gpuopen.com/learn/amd-lab-notes/amd-lab-notes-matrix-cores-readme",
    "A64FX manual": "Fujitsu, https://github.com/fujitsu/A64FX, Microarchitecture Manual 1.8.1",
    "Fugaku": "158,976 chips, each with 48 cores for computing: http://forum.anandtech.com/show/15869; RIKEN's 1.95 "
    "(2 GHz) and 2.15 exaflops (2.2 GHz) in fp16, as https://en.wikipedia.org/w/index.php?diff=1220416446 quotes them",
    "Cloud TPU pages": "Google, https://docs.cloud.google.com/tpu/docs/v4, and v5e, v5p, v6e, tpu7x",
    "ml-engineering": "https://github.com/stas00/ml-engineering, compute/accelerator, August 2026",
    "torchtitan": "https://github.com/pytorch/torchtitan, torchtitan/tools/utils.py",
    "torchao": "https://github.com/pytorch/ao, torchao/testing/training/roofline_utils.py",
    "Composer": "https://github.com/mosaicml/composer, composer/callbacks/speed_monitor.py",
    "Lightning": "https://github.com/Lightning-AI/pytorch-lightning, src/lightning/fabric/utilities/throughput.py",
    "waredb": "https://waredb.com/processor/nvidia-geforce-rtx-4090",
    "PC Guia": "https://pcguia.pt/2024/04/nvidia-e-amd-tem-um-novo-rival-no-mercado-de-ia-a-intel, on Intel's launch",
}
"""What the sources of accelerators are, and where they were read."""


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
_BLACKWELL: dict[Precision, float] = {
    "fp32": 75,
    "tf32": 1125,
    "bf16": 2250,
    "fp16": 2250,
    "fp8": 4500,
    "mxfp8": 4500,
}
_GRACE_BLACKWELL: dict[Precision, float] = {
    "fp32": 80,
    "tf32": 1250,
    "bf16": 2500,
    "fp16": 2500,
    "fp8": 5000,
    "mxfp8": 5000,
}

ACCELERATORS: Mapping[str, Accelerator] = {
    "v100-sxm": Accelerator("NVIDIA V100 SXM2", "Ampere article", {"fp32": 15.7, "fp16": 125}),
    "v100-pcie": Accelerator("NVIDIA V100 PCIe", "Composer, Lightning", {"fp32": 14, "fp16": 112}),
    "a10": Accelerator(
        "NVIDIA A10",
        "Composer; but for tf32 also Lightning, as A10G",
        {"fp32": 31.2, "tf32": 62.5, "bf16": 125, "fp16": 125},
    ),
    "a100": Accelerator(
        "NVIDIA A100, SXM or PCIe, 40 or 80 GB",
        "Ampere article; PCIe as SXM: ml-engineering, Composer",
        {"fp32": 19.5, "tf32": 156, "bf16": 312, "fp16": 312},
    ),
    "h100-sxm": Accelerator("NVIDIA H100 SXM5", "Hopper white paper; bf16, fp8 also DGX Cloud benchmarks", _HOPPER_SXM),
    "h100-pcie": Accelerator(
        "NVIDIA H100 PCIe",
        "H100 page, halves; ml-engineering; bf16 also torchtitan",
        {"fp32": 51, "tf32": 378, "bf16": 756, "fp16": 756, "fp8": 1513},
    ),
    "h100-nvl": Accelerator("NVIDIA H100 NVL", "torchtitan", {"bf16": 835, "fp16": 835}),
    "h200-sxm": Accelerator("NVIDIA H200 SXM", "the figures of an H100 SXM5: ml-engineering, Composer", _HOPPER_SXM),
    "gh200": Accelerator(
        "Hopper GPU of an NVIDIA GH200 superchip",
        "the figures of an H100 SXM5: ml-engineering; its 132 units and fp32: PowerCapping",
        _HOPPER_SXM,
    ),
    "l40s": Accelerator(
        "NVIDIA L40S",
        "L40S data sheet; ml-engineering; bf16 also torchtitan",
        {"fp32": 91.6, "tf32": 183, "bf16": 362, "fp16": 362, "fp8": 733},
    ),
    "rtx-4090": Accelerator(
        "NVIDIA GeForce RTX 4090, products added up in fp32",
        "waredb",
        {"fp32": 82.6, "tf32": 82.6, "bf16": 165.2, "fp16": 165.2, "fp8": 330.3},
    ),
    "b200": Accelerator(
        "NVIDIA B200 of an HGX or DGX B200",
        "DGX Cloud benchmarks (bf16, fp8, nvfp4); Blackwell data sheets (fp32); HGX page (tf32); mxfp8 as fp8: torchao",
        {**_BLACKWELL, "nvfp4": 9000},
    ),
    "b300": Accelerator(
        "NVIDIA B300 of an HGX or DGX B300",
        "DGX Cloud benchmarks (bf16, fp8 also for mxfp8, nvfp4); Blackwell data sheets (fp32); HGX page (tf32)",
        {**_BLACKWELL, "nvfp4": 13500},
    ),
    "gb200": Accelerator(
        "NVIDIA Blackwell GPU of a GB200 superchip, which has two",
        "Blackwell data sheets, halves; mxfp8 as fp8; DGX Cloud benchmarks count 2450 (bf16), 4900 (fp8), 9800 (nvfp4)",
        {**_GRACE_BLACKWELL, "nvfp4": 10000},
    ),
    "gb300": Accelerator(
        "NVIDIA Blackwell Ultra GPU of a GB300 superchip, which has two",
        "Blackwell data sheets; nvfp4: Blackwell Ultra article; mxfp8 as fp8; DGX Cloud benchmarks count "
        "2450 (bf16), 4900 (fp8), 14700 (nvfp4)",
        {**_GRACE_BLACKWELL, "nvfp4": 15000},
    ),
    "mi100": Accelerator("AMD Instinct MI100", "ROCm pages", {"fp32": 46.1, "bf16": 92.3, "fp16": 184.6}),
    "mi250-gcd": Accelerator(
        "one of the two GCDs of an AMD Instinct MI250, which programs see as a GPU",
        "ROCm pages: half of 90.5 (fp32 matrix) and 362.1",
        {"fp32": 45.25, "bf16": 181.05, "fp16": 181.05},
    ),
    "mi250x-gcd": Accelerator(
        "one of the two GCDs of an AMD Instinct MI250X, which programs see as a GPU",
        "torchtitan; half of 383 of ml-engineering; fp32: matrix cores, 256 each cycle x 110 compute units x 1.7 GHz",
        {"fp32": 47.9, "bf16": 191.5, "fp16": 191.5},
    ),
    "mi300x": Accelerator("AMD Instinct MI300X", "ROCm pages", _CDNA3),
    "mi325x": Accelerator("AMD Instinct MI325X", "as an MI300X: ml-engineering; bf16 also torchtitan", _CDNA3),
    "mi355x": Accelerator(
        "AMD Instinct MI355X",
        "ml-engineering: 1024 matrix cores x 512 products added each cycle x 2.4 GHz, fp8 twice that; torchtitan: 2500",
        {"fp32": 157.3, "bf16": 2516.6, "fp16": 2516.6, "fp8": 5033.2},
    ),
    "a64fx": Accelerator(
        "Fujitsu A64FX with 48 cores, both floating-point pipelines at work",
        "A64FX manual: 2 pipelines x 512 bits, multiply and add each cycle; Fugaku: 48 cores, clocks",
        {},
        {2.0: {"fp32": 6.144, "fp16": 12.288}, 2.2: {"fp32": 6.7584, "fp16": 13.5168}},
    ),
    "tpu-v4": Accelerator("Google TPU v4 chip", "Cloud TPU pages", {"bf16": 275}),
    "tpu-v5e": Accelerator("Google TPU v5e chip", "Cloud TPU pages", {"bf16": 197}),
    "tpu-v5p": Accelerator("Google TPU v5p chip", "Cloud TPU pages", {"bf16": 459}),
    "tpu-v6e": Accelerator("Google TPU v6e (Trillium) chip", "Cloud TPU pages", {"bf16": 918}),
    "tpu-v7x": Accelerator("Google TPU7x (Ironwood) chip", "Cloud TPU pages", {"bf16": 2307, "fp8": 4614}),
    "gaudi2": Accelerator(
        "Intel Gaudi 2",
        "ml-engineering: 2 engines x 256 x 256 products added each cycle x 1.65 GHz; PC Guia",
        {"bf16": 432},
    ),
    "gaudi3": Accelerator(
        "Intel Gaudi 3, OAM",
        "Intel's white paper, as ml-engineering quotes it; PC Guia; ml-engineering counts 1677, at 1.6 GHz",
        {"bf16": 1835, "fp8": 1835},
    ),
}
"""The accelerators that a machine may name, by name."""
