"""Client keys: from the secret to OpenSSL, and nowhere else."""

import os
from pathlib import Path

import pytest

from pfi.adapters.mail_access import pem_file

KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux only, as Lambda is")
def test_a_key_reaches_openssl_without_touching_a_disk():
    with pem_file(KEY) as path:
        assert Path(path).read_text() == KEY
        assert os.readlink(path).startswith("/memfd:")  # noqa: PTH115 - it is no real file
    assert not Path(path).exists() or not os.readlink(path).startswith("/memfd:")  # noqa: PTH115
