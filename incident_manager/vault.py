"""What `auth.secret` keys: digests of keys, signatures of cursors, encryption of what must be read back.

Each purpose has a key of its own, derived by HKDF-SHA256 (RFC 5869), so that a value made for one is worth nothing for another.
"""

import base64
import hashlib
import hmac
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES: Final = 32


class Vault:
    """Holds the derived keys; the secret itself is not kept."""

    def __init__(self, secret: str) -> None:
        material = secret.encode()
        self.fingerprint: Final = _derive(material, "fingerprint of the secret").hex()[:32]
        self._digest_key: Final = _derive(material, "digests of keys")
        self._cursor_key: Final = _derive(material, "signatures of cursors")
        self._fernet: Final = Fernet(base64.urlsafe_b64encode(_derive(material, "encryption at rest")))

    def digest(self, key: str) -> str:
        """Return the keyed SHA-256 of an API or integration key, in hex: what is stored in its place."""
        return hmac.new(self._digest_key, key.encode(), hashlib.sha256).hexdigest()

    def sign(self, payload: bytes) -> bytes:
        """Return 16 bytes that prove that this service made `payload`."""
        return hmac.new(self._cursor_key, payload, hashlib.sha256).digest()[:16]

    def encrypt(self, text: str) -> str:
        """Return `text` as a Fernet token."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return what `encrypt` was given.

        Raises ValueError where the token was made under another secret or changed.
        """
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken as error:
            raise ValueError("the value was not encrypted under the present auth.secret") from error


def _derive(material: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose.encode()).derive(material)
