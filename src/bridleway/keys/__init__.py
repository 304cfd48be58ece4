"""Keys, signatures and sealed messages: proven primitives composed, none invented.

Ed25519 (RFC 8032) signs, in DSSE envelopes for documents; X25519 (RFC 7748) with HKDF-SHA256
(RFC 5869) and ChaCha20-Poly1305 (RFC 8439) seals; Argon2id (RFC 9106) turns a person's
password into a key.
"""
