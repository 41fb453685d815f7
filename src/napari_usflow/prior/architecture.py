"""Architecture of a flow; readable without torch."""

from __future__ import annotations

from dataclasses import dataclass

from napari_usflow.parameters import parameter

__all__ = ["GlowConfig"]


@dataclass(frozen=True)
class GlowConfig:
    """Architecture of a flow; stored with its weights."""

    patch_size: int = parameter(
        32, help="side of a square patch", unit="pixel", minimum=8, maximum=256
    )
    steps: tuple[int, ...] = parameter(
        (8, 10, 10), help="flow steps of each level, finest first"
    )
    hidden: tuple[int, ...] = parameter(
        (64, 96, 128), help="hidden channels of the couplings of each level"
    )
    depth: tuple[int, ...] = parameter(
        (),
        help="how often the network of every other coupling halves its map, of each "
        "level; 0, or no entry, for Glow's plain network",
    )
    activation: str = parameter(
        "silu",
        help="of the couplings' networks: SiLU, whose derivative is smooth, or ReLU",
        choices=("silu", "relu"),
    )
    smallest_scale: float = parameter(
        0.7,
        help="below which no coupling scales; it bounds the inverse far from the data. "
        "0: none, the scale is sigmoid(log s + 2)",
        minimum=0.0,
        maximum=0.9,
    )
    embedding: int = parameter(
        32,
        help="size of the noise-level embedding; a flow without noise levels has none",
        minimum=1,
        maximum=1024,
    )
    conditional: bool = parameter(True, help="condition the flow on the noise level")
    sigma_min: float = parameter(
        0.01,
        help="smallest noise standard deviation, fraction of the value range",
        minimum=1e-4,
        maximum=1.0,
    )
    sigma_max: float = parameter(
        0.5,
        help="largest noise standard deviation, fraction of the value range",
        minimum=1e-4,
        maximum=2.0,
    )

    def __post_init__(self) -> None:
        levels = len(self.steps)
        if not 0 < levels == len(self.hidden) >= len(self.depth):
            raise ValueError(
                f"steps {self.steps} and hidden {self.hidden} need one entry a level, "
                f"depth {self.depth} one at most"
            )
        if self.patch_size % 2 ** len(self.steps):
            raise ValueError(
                f"patch_size {self.patch_size} cannot be halved {len(self.steps)} times"
            )
        for level, depth in enumerate(self.depth, start=1):
            if depth < 0 or self.patch_size % 2 ** (level + depth):
                raise ValueError(
                    f"depth {self.depth}: a patch of {self.patch_size} pixels cannot "
                    f"be halved {depth} times below level {level}"
                )
