"""A group of settings of one subject."""

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo


class Group(BaseModel):
    """The settings of one subject. A field's alias is the name of its flag, if that is another.

    The class docstring is the group's description in `--help`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    @classmethod
    def by_flag(cls) -> dict[str, FieldInfo]:
        """Return the fields by the names of their flags, written with underscores."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}
