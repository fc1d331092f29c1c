"""Random but repeatable inputs, drawn to sit where rating goes wrong."""
