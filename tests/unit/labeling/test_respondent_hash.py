"""Hashes of respondents, which must never change: they are stored."""

import hashlib
import hmac

from labeling.respondent_hash import keyed_hash, respondent_key, session_key


def test_the_hash_is_the_one_that_is_stored_already() -> None:
    key = hashlib.sha256(b"respondent:7:secret").digest()
    assert keyed_hash(respondent_key(7, "secret"), "user-1") == hmac.digest(key, b"user-1", "sha256").hex()


def test_project_secret_and_purpose_each_make_another_hash() -> None:
    keys = [
        respondent_key(7, "secret"),
        respondent_key(8, "secret"),
        respondent_key(7, "other"),
        session_key(7, "secret"),
    ]
    assert len({keyed_hash(key, "user-1") for key in keys}) == len(keys)


def test_nobody_has_no_hash() -> None:
    assert keyed_hash(respondent_key(7, "secret"), "") == ""
