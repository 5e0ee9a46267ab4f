"""Where the Alpha ESS registers lie, and how numbers lie in them (holding, big-endian)."""

from __future__ import annotations

from typing import Final

UNIT: Final = 85

FEED_IN: Final = 0x0010  # u32 x 0.01 kWh
CONSUMED: Final = 0x0012  # u32 x 0.01 kWh
GRID_POWER: Final = 0x0021  # i32 W, + import
PV_METER_ENERGY: Final = 0x0090  # u32 x 0.01 kWh, the AC meter on the PV side
PV_METER_POWER: Final = 0x00A1  # i32 W
SOC: Final = 0x0102  # u16 x 0.1 %
BATTERY_POWER: Final = 0x0126  # i16 W, + discharge
PV_STRINGS: Final = (0x041F, 0x0423, 0x0427, 0x042B)  # u32 W each
PV_ENERGY: Final = 0x043E  # u32 x 0.1 kWh, DC side

# The inverter keeps these in flash, which wears: a controller must never modulate them.
FLASH_BACKED: Final = (0x0800, 0x0850, 0x0855)

DISPATCH: Final = 0x0880
DISPATCH_LENGTH: Final = 9
START, POWER, REACTIVE, MODE, CUTOFF, TIME = 0, 1, 3, 5, 6, 7  # offsets inside the block

POWER_ZERO: Final = 32000  # the power registers hold 32000 + W, discharge positive
CUTOFF_STEP: Final = 0.392  # % of SOC for one count; 255 counts are 99.96 %
MODE_SOC_CONTROL: Final = 2

RESET_BLOCK: Final = (0, 0, POWER_ZERO, 0, POWER_ZERO, 0, 0, 0, 90)


def u16(value: float) -> list[int]:
    """Return one word, cut to its range."""
    return [min(max(int(value), 0), 0xFFFF)]


def i16(value: float) -> list[int]:
    """Return one word in two's complement, cut to its range."""
    return [min(max(int(value), -0x8000), 0x7FFF) & 0xFFFF]


def u32(value: float) -> list[int]:
    """Return two words, high first, cut to their range."""
    whole = min(max(int(value), 0), 0xFFFFFFFF)
    return [whole >> 16, whole & 0xFFFF]


def i32(value: float) -> list[int]:
    """Return two words in two's complement, high first, cut to their range."""
    whole = min(max(int(value), -0x80000000), 0x7FFFFFFF) & 0xFFFFFFFF
    return [whole >> 16, whole & 0xFFFF]


def from_u32(words: list[int] | tuple[int, ...]) -> int:
    """Return the number in two words, high first."""
    return words[0] << 16 | words[1]


def truncated(value: float, step: float) -> int:
    """Return how many whole steps fit into a value.

    The nudge keeps 0.29 at 29 hundredths although 0.29 / 0.01 is 28.999999999999996.
    """
    return int(value / step + 1e-9)


def dispatch_block(power_w: float, cutoff_soc: float, seconds: float) -> list[int]:
    """Return the nine words that arm a dispatch: W (+ discharge), SOC %, seconds."""
    return [
        1,
        *u32(POWER_ZERO + round(power_w)),
        *u32(POWER_ZERO),
        MODE_SOC_CONTROL,
        int(cutoff_soc / CUTOFF_STEP),
        *u32(seconds),
    ]
