"""The example sites that can be planned; those of `perwatt run` are scenarios."""
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def planned_sites():
    return [site for site in sorted((ROOT / "examples").glob("site-*.toml")) if "\n[scenario]\n" not in site.read_text()]
