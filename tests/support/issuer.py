"""An issuer of JSON Web Tokens: its keys, the set of their public halves, and tokens that it signs."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from jwt.algorithms import ECAlgorithm

ISSUER, AUDIENCE = "https://issuer.example", "forefill"


def _key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


@dataclass
class Issuer:
    """Signs with a key of its own, which has a name."""

    key_id: str = "k1"
    key: EllipticCurvePrivateKey = field(default_factory=_key)

    def key_set(self) -> bytes:
        """The public keys, as JSON."""
        public = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return json.dumps({"keys": [{**public, "kid": self.key_id, "use": "sig", "alg": "ES256"}]}).encode()

    def token(self, subject: str = "ada", **claims: Any) -> str:
        """A token that is good for an hour; a claim that is None is left out."""
        said = {"sub": subject, "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 3600} | claims
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, self.key, algorithm="ES256", headers={"kid": self.key_id})
