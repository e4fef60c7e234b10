"""Phantoms: T2-weighted brain volumes with perivascular spaces in known places, made from anatomy; not patients."""
