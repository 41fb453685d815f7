"""The napari side: signals, layout and layers; no arithmetic."""

from napari_usflow.device import let_waiting_threads_sleep

# napari imports this when a command of the plugin is first used.
let_waiting_threads_sleep()
