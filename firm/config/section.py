"""What every part of the settings is made of: strict sections, and numbers with their bounds."""

from decimal import Decimal
from typing import Annotated, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveDecimal = Annotated[Decimal, Field(gt=0)]
Scenarios = Annotated[int, Field(gt=0, multiple_of=192)]
"""Whole blocks of the Monte Carlo kernel (`firm.risk_kernels.normals.BLOCK`)."""
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A part of the settings: frozen, strict about its keys; an infinite number would be no limit at all."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("true and false are not values of this key")
        if get_origin(cls.model_fields[str(info.field_name)].annotation) is dict and isinstance(value, dict):
            words = [str(key) for key, each in value.items() if isinstance(each, bool)]
            if words:
                raise ValueError(f"true and false are not values of {', '.join(words)}")
        return value
