"""The table of Keras layer classes: options, computation, weights and masks of each.

Classes in `LAYERS` can be imported; `OUT_OF_SCOPE` gives the reason for others.
"""

from fdl.keras.table import (
    applications,
    array_operations,
    attention,
    cells,
    colored_images,
    conv_recurrent,
    convolution,
    core,
    embeddings,
    encoding,
    image_operations,
    local_contrast,
    merging,
    mixed_changes,
    moved_images,
    neural_operations,
    noise,
    normalization,
    operations,
    pooling,
    recurrent,
    resizing,
    shapes,
    simple_attention,
    spectrograms,
    wrappers,
)
from fdl.keras.table.entry import Entry as Entry

LAYERS: dict[str, Entry] = {
    **core.LAYERS,
    **embeddings.LAYERS,
    **encoding.LAYERS,
    **convolution.LAYERS,
    **pooling.LAYERS,
    **shapes.LAYERS,
    **merging.LAYERS,
    **normalization.LAYERS,
    **noise.LAYERS,
    **moved_images.LAYERS,
    **colored_images.LAYERS,
    **local_contrast.LAYERS,
    **mixed_changes.LAYERS,
    **cells.LAYERS,
    **recurrent.LAYERS,
    **conv_recurrent.LAYERS,
    **wrappers.LAYERS,
    **attention.LAYERS,
    **simple_attention.LAYERS,
    **resizing.LAYERS,
    **spectrograms.LAYERS,
    **applications.LAYERS,
    **operations.LAYERS,
    **array_operations.LAYERS,
    **image_operations.LAYERS,
    **neural_operations.LAYERS,
}

_RUNS_CODE = (
    "it runs Python code from the file, which fdl never does; write the function with "
    "keras.ops, or pass a module for it in custom_layers="
)
_READS_TEXT = (
    "it takes text, but a pure function takes numbers; look tokens up before the model"
)
_HASHES = "it hashes text, or numbers as text; hash them before the model"
_CALLS_FUNCTIONS = "it calls Python functions, which files do not contain; " + (
    "write it with other functions of keras.ops"
)
_OTHER = "it contains a model of another framework"

OUT_OF_SCOPE = {
    "Lambda": _RUNS_CODE,
    "JaxLayer": _RUNS_CODE,
    "FlaxLayer": _OTHER,
    "TFSMLayer": _OTHER,
    "TorchModuleWrapper": _OTHER,
    "StringLookup": _READS_TEXT,
    "TextVectorization": _READS_TEXT,
    "Hashing": _HASHES,
    "HashedCrossing": _HASHES,
    **{
        f"ops.{name}": _CALLS_FUNCTIONS
        for name in (
            "AssociativeScan Cond ForiLoop JVP Map Scan Switch VectorizedMap WhileLoop"
        ).split()
    },
}
