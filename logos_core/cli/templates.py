"""The preset templates inside a plugin's wheel."""

from importlib import resources
from importlib.resources.abc import Traversable

from logos_core.errors import PluginContractError
from logos_core.venues import VenueDeclaration


def templates(declared: VenueDeclaration, variant: str) -> list[Traversable]:
    """Return the templates of a venue, by name."""
    package, _, folder = declared.presets.partition(":")
    try:
        found = [item for item in resources.files(package).joinpath(folder).iterdir() if item.name.endswith(".toml")]
    except OSError as error:
        raise PluginContractError(f"{declared.name}: its wheel has no folder {declared.presets} ({error})") from error
    own = [item for item in found if not variant or item.name.startswith(f"{variant}-")]
    if not own:
        raise PluginContractError(f"{declared.name}: its wheel has no presets in {declared.presets}")
    return sorted(own, key=lambda item: item.name)
