"""Prove once an hour that a part of the account closes."""

from pfi.edge.prove import prove_function

handler = prove_function()
