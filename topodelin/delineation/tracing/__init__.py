"""From the distance maps of cubes to neurons: skeletons, bridges, crossings, radii, spots."""
