"""Files, cohort tables, points, digit grids and augmentation."""
