"""A city's GIS service: layers in; map tiles, GeoJSON, public maps and analysis out."""
