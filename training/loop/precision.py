"""The number format in which a device computes the network, chosen by what the device can do."""

from dataclasses import dataclass

import torch

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names in torch.cpu.get_capabilities() of instructions that compute bfloat16; without one it is emulated, slowly."""
NATIVE_BF16 = (8, 0)  # CUDA compute capability; torch emulates bfloat16 on earlier GPUs


@dataclass(frozen=True)
class Precision:
    """bf16, fp16 or fp32, and why it was chosen."""

    name: str
    reason: str

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context in which the network and the loss are computed."""
        return torch.autocast(device.type, TYPES.get(self.name, torch.bfloat16), enabled=self.name in TYPES)

    def scaler(self, device: torch.device) -> torch.amp.GradScaler:
        """It keeps gradients within float16, and does nothing in the other formats."""
        return torch.amp.GradScaler(device.type, enabled=self.name == "fp16")


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """The precision that is wanted; for "auto" the fastest that the device computes itself."""
    if wanted != "auto":
        return Precision(wanted, "as --precision says")
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        name = "bf16" if capability >= NATIVE_BF16 else "fp16"
        return Precision(
            name, f"{torch.cuda.get_device_name(device)} has compute capability {capability[0]}.{capability[1]}"
        )
    found = [name for name in CPU_INSTRUCTIONS if torch.cpu.get_capabilities().get(name)]
    if found:
        return Precision("bf16", f"the processor has {found[0]}")
    return Precision("fp32", "the processor has no instructions for bfloat16")
