"""What a node can do at best."""

from .config import Machine, Peak, Precision


def peak_of(machine: Machine, precision: Precision, frequency_ghz: float | None) -> Peak | None:
    """The highest peak that a node has in this precision at this clock, or at any where the layout names none."""
    fitting = [
        peak
        for peak in machine.peak_tflops
        if peak.precision == precision
        and (frequency_ghz is None or peak.frequency_ghz is None or peak.frequency_ghz == frequency_ghz)
    ]
    return max(fitting, key=lambda peak: peak.tflops_per_node, default=None)
