"""What a station's file may say about each screen: the tables `[screens.entrance]` and so on.

The one rule: a screen's settings name devices and limits, never wording or looks.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from mqtt.settings import Name

LONGEST_H = 8760
"""A year: what is older is old for everybody, and "inf" is no number of hours."""


class ScreenSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EntranceSettings(ScreenSettings):
    """`[screens.entrance]`"""

    reader: Name
    twice_s: float = Field(
        default=10, gt=0, le=300, description="the same badge again within this is not a passage"
    )
    stale_h: float = Field(
        default=72, gt=0, le=LONGEST_H, description="a directory older than this is said to be old"
    )


class ScaleSettings(ScreenSettings):
    """`[screens.scale]`"""

    scale: Name
    printer: Name
    mode: Literal["scale-prices", "certified-peripheral", "indicative"] = "indicative"
    min_g: int = Field(default=40, ge=0)
    max_g: int = Field(default=15_000, gt=0, validate_default=True)
    e_g: int = Field(default=5, gt=0, description="the scale's verification interval")
    stale_h: float = Field(
        default=48, gt=0, le=LONGEST_H, description="prices older than this are said to be old"
    )

    @field_validator("max_g")
    @classmethod
    def _above(cls, value: int, others: ValidationInfo) -> int:
        if value <= others.data.get("min_g", 0):
            raise ValueError("must be more than min_g, as on the scale's plate")
        return value


class PhotoSettings(ScreenSettings):
    """`[screens.photo]`"""

    reader: Name
    camera: Name
    countdown_s: int = Field(default=3, ge=1, le=10)
