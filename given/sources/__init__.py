"""Where does raw data come from? Files and arrays, as re-iterable batches of columns."""

from given.sources.arrivals import arrivals
from given.sources.chains import ChainWindows, pieces, structures, unbroken
from given.sources.clock import CALENDAR, Clock
from given.sources.columns import Columns, Source, gathered, joined, regrouped
from given.sources.crops import Crops
from given.sources.delimited_text import DelimitedText
from given.sources.dialogues import OWN, SO_FAR, dialogues, so_far
from given.sources.episodes import chunks, in_order, parts_held, spelled_parts, unflawed
from given.sources.keys import Key
from given.sources.kinds import EXACT, Kind, end_to_end, holds_sets, items, ragged, stacked
from given.sources.learned import Learned
from given.sources.linked import LinkedTables
from given.sources.live import Live
from given.sources.molecules import (
           PROPERTIES,
           RandomSmiles,
           molecule_properties,
           read_smiles,
           scaffold_completed,
           scaffold_prefix,
           smiles_flaw,
)
from given.sources.pairs import Pairs
from given.sources.photographs import photograph, photographs
from given.sources.read import read
from given.sources.recognised import nearly
from given.sources.samples import SAMPLES
from given.sources.scene_rows import Scenes
from given.sources.sound_files import rate_of
from given.sources.sounds import recording
from given.sources.stream import File, Stream
from given.sources.varied import Varied
from given.sources.video_files import VIDEOS, resampled, save_clip, side_by_side
from given.sources.videos import clip_of
from given.sources.write import write_file

__all__ = ["CALENDAR", "ChainWindows", "Clock", "Columns", "Crops", "DelimitedText", "EXACT", "File", "Key", "Kind", "Learned",
           "LinkedTables", "Live", "OWN", "PROPERTIES", "Pairs", "RandomSmiles", "SAMPLES", "SO_FAR", "Scenes", "Source",
           "Stream", "VIDEOS", "Varied", "arrivals", "chunks", "clip_of", "dialogues", "end_to_end", "gathered", "holds_sets",
           "in_order", "items", "joined", "molecule_properties", "nearly", "parts_held", "photograph", "photographs", "pieces",
           "ragged", "rate_of", "read", "read_smiles", "recording", "regrouped", "resampled", "save_clip",
           "scaffold_completed", "scaffold_prefix", "side_by_side", "smiles_flaw", "so_far", "spelled_parts", "stacked",
           "structures", "unbroken", "unflawed", "write_file"]
