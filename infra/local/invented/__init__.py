"""Invented people, documents, archives and mails, built by code: the demo's and the tests'."""
