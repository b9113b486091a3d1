"""The two secrets of a store: a master key that opens it and a signing key that vouches for it.

They are separate so that whoever can read and write the log still cannot sign a changed one. The writer needs
both; a verifier needs the master key and only the public part of the signing key.
"""

import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from firm.errors import StoreError, WrongKey

KEY_BYTES = 32
DEFAULT_DIRECTORY = "~/.firm/keys"
MASTER_FILE, SIGNING_FILE, PUBLIC_FILE = "store.key", "signing.key", "signing.pub"


@dataclass(frozen=True)
class Keys:
    """What opens a store and signs its heads. Without `signing` it can be read and verified, not written."""

    master: bytes = field(repr=False)
    public: Ed25519PublicKey = field(repr=False)
    signing: Ed25519PrivateKey | None = field(default=None, repr=False)

    @classmethod
    def from_bytes(cls, master: bytes, seed: bytes) -> "Keys":
        """Make keys from the master key and the signing key's seed, 32 bytes each."""
        signing = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(master, signing.public_key(), signing)

    @classmethod
    def load(
        cls,
        directory: Path | None = None,
        *,
        create: bool = True,
        environ: Mapping[str, str] = os.environ,
    ) -> "Keys":
        """Take the keys from FIRM_STORE_KEY and FIRM_SIGNING_KEY (hex), else from files in the key directory.

        The directory is `directory`, else FIRM_KEY_DIR, else ~/.firm/keys. With `create` missing files are
        made (mode 0600); without it a missing master key is WrongKey, and `signing.pub` is enough to verify.
        """
        place = key_directory(environ) if directory is None else directory.expanduser()
        master = _secret("FIRM_STORE_KEY", place / MASTER_FILE, environ, create=create)
        if master is None:
            raise WrongKey(
                f"no store key: set FIRM_STORE_KEY or restore {place / MASTER_FILE} from its backup."
            )
        seed = _secret("FIRM_SIGNING_KEY", place / SIGNING_FILE, environ, create=create)
        if seed is None:
            return cls(master, _public(place / PUBLIC_FILE))
        keys = cls.from_bytes(master, seed)
        if create:
            _keep_public(place / PUBLIC_FILE, keys.public)
        return keys

    @property
    def fingerprint(self) -> str:
        """Names the signing key: SHA-256 of its public part, hex. Not secret."""
        return sha256(self.public.public_bytes_raw()).hexdigest()

    @property
    def master_fingerprint(self) -> str:
        """Names the master key, 16 hex digits. Not secret."""
        return sha256(b"firm store master key" + self.master).hexdigest()[:16]

    def for_verifying(self) -> "Keys":
        """Return the same keys without the power to sign."""
        return Keys(self.master, self.public)

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519, 64 bytes; WrongKey if only the public part is here."""
        if self.signing is None:
            raise WrongKey(
                "writing needs the private signing key and only its public part is here."
                f" Set FIRM_SIGNING_KEY or restore {SIGNING_FILE}, or open the store read-only."
            )
        return self.signing.sign(message)

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` on `message` was made with this signing key."""
        try:
            self.public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def key_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """FIRM_KEY_DIR, else ~/.firm/keys."""
    return Path(environ.get("FIRM_KEY_DIR") or DEFAULT_DIRECTORY).expanduser()


Witness = Literal["standby", "fence"]


def token_of(witness: Witness, *, create: bool, environ: Mapping[str, str] = os.environ) -> bytes:
    """What a leader and its standby, or the fence before its gateway, know each other by, 32 bytes.

    Two tokens, so that a standby's host cannot reach the gateway. From FIRM_STANDBY_TOKEN or FIRM_FENCE_TOKEN
    (hex), else from `standby.token` or `fence.token` in the key directory; with `create` one is made there.
    WrongKey without one.
    """
    variable, place = f"FIRM_{witness.upper()}_TOKEN", key_directory(environ) / f"{witness}.token"
    token = _secret(variable, place, environ, create=create)
    if token is None:
        raise WrongKey(
            f"the {witness}'s token is needed: set {variable}, or copy {place.name} to {place.parent} from"
            f" the {witness}'s host, where `firm {witness}` has made it."
        )
    return token


def master_key_of(path: Path) -> bytes:
    """The master key in a key file: 64 hexadecimal digits, readable by its owner only."""
    master = _secret("", path, {}, create=False)
    if master is None:
        raise WrongKey(f"a key file with {2 * KEY_BYTES} hexadecimal digits is needed, found none at {path}.")
    return master


def make_data_key(path: Path, keys: Keys) -> bytes:
    """Make a store's own random key and keep it in `path`, wrapped by the master key (RFC 3394)."""
    data_key = secrets.token_bytes(KEY_BYTES)
    wrapped = aes_key_wrap(keys.master, data_key).hex()
    _write_new(path, json.dumps({"master": keys.master_fingerprint, "wrapped": wrapped}), 0o600)
    return open_data_key(path, keys)


def keep_wrapped_key(path: Path, text: str) -> None:
    """Put a wrapped key that was kept elsewhere beside the copy it belongs to; one that is there stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_new(path, text.strip(), 0o600)


def rewrap_data_key(path: Path, keys: Keys, master: bytes) -> None:
    """Wrap a store's own key by another master key, 32 bytes: from now on only that one opens the store.

    The store itself does not change, and who holds its own key already still holds it.
    """
    data_key, wrapped_by = open_data_key(path, keys), Keys(master, keys.public)
    wrapped = aes_key_wrap(master, data_key).hex()
    beside = path.with_suffix(".rewrapped")
    beside.unlink(missing_ok=True)
    _write_new(beside, json.dumps({"master": wrapped_by.master_fingerprint, "wrapped": wrapped}), 0o600)
    beside.replace(path)
    sync_directory(path.parent)


def open_data_key(path: Path, keys: Keys) -> bytes:
    """Unwrap a store's own key.

    WrongKey if another master key wrapped it, StoreError if it is missing or damaged.
    """
    try:
        kept = json.loads(path.read_text())
        master, wrapped = str(kept["master"]), bytes.fromhex(kept["wrapped"])
    except FileNotFoundError as error:
        raise StoreError(
            f"{path} is missing, and without it the log cannot be read. Restore it from backup."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged: not a wrapped key. Restore it from backup.") from error
    if master != keys.master_fingerprint:
        raise WrongKey(
            f"the store in {path.parent} needs master key {master}, found {keys.master_fingerprint}."
            " Set FIRM_STORE_KEY or FIRM_KEY_DIR to the key this store was made with."
        )
    try:
        return aes_key_unwrap(keys.master, wrapped)
    except (InvalidUnwrap, ValueError) as error:
        raise StoreError(
            f"{path} is damaged: the right master key does not unwrap it. Restore it."
        ) from error


def _secret(variable: str, path: Path, environ: Mapping[str, str], *, create: bool) -> bytes | None:
    if text := environ.get(variable):
        return _from_hex(text, variable)
    if not path.exists():
        if not create:
            return None
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, secrets.token_hex(KEY_BYTES), 0o600)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise WrongKey(
            f"{path} must be readable by its owner only (0600), found {mode:04o}: chmod 600 {path}"
        )
    return _from_hex(path.read_text(), str(path))


def _public(path: Path) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(_from_hex(path.read_text(), str(path)))
    except FileNotFoundError as error:
        raise WrongKey(
            f"no signing key: verifying needs {path}, made at the first start. Restore it."
        ) from error


def _keep_public(path: Path, public: Ed25519PublicKey) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = public.public_bytes_raw().hex()
    _write_new(path, text, 0o644)
    if path.read_text().strip() != text:
        raise WrongKey(
            f"{path} belongs to another signing key. Restore the pair, or move both away together."
        )


def _from_hex(text: str, source: str) -> bytes:
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}", text.strip()):
        raise WrongKey(
            f"{source} must be {2 * KEY_BYTES} hexadecimal digits, found {len(text.strip())} characters."
        )
    return bytes.fromhex(text.strip())


def _write_new(path: Path, text: str, mode: int) -> None:
    """Make `path` durably and wholly, or leave the one that is there: two first starts agree on one key."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        os.write(file, f"{text}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` survive a power cut."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
