"""The parameter of native queries that selects predictions by their tags."""

from marshmallow import fields

from app.api.http.parameters import Text

TAGS = fields.List(
    Text(),
    data_key="tag",
    metadata={
        "example": ["country:FR"],
        "description": "Only predictions with this tag, like country:FR; repeat it for several:"
        " values of one key are alternatives, and all keys must match. country: without a value"
        " selects predictions without the key",
    },
)
