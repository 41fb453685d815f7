"""The Measure widget: numbers of regions and lines, before and after."""
