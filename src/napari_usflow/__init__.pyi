from napari_usflow.denoising.algorithms import method_class as method_class
from napari_usflow.denoising.algorithms import methods as methods
from napari_usflow.denoising.denoise import denoise as denoise
from napari_usflow.denoising.uncertainty import uncertainty as uncertainty
from napari_usflow.errors import Cancelled as Cancelled
from napari_usflow.errors import FileFormatError as FileFormatError
from napari_usflow.errors import PriorError as PriorError
from napari_usflow.errors import UsflowError as UsflowError
from napari_usflow.evaluate.measure import measure as measure
from napari_usflow.evaluate.metrics import psnr as psnr
from napari_usflow.evaluate.metrics import ssim as ssim
from napari_usflow.evaluate.region_metrics import cnr as cnr
from napari_usflow.evaluate.region_metrics import contrast as contrast
from napari_usflow.evaluate.region_metrics import enl as enl
from napari_usflow.evaluate.region_metrics import gcnr as gcnr
from napari_usflow.evaluate.region_metrics import speckle_snr as speckle_snr
from napari_usflow.evaluate.regions import Region as Region
from napari_usflow.interop.deepinv import DeepinvDenoiser as DeepinvDenoiser
from napari_usflow.io import read as read
from napari_usflow.io import read_channel_data as read_channel_data
from napari_usflow.io.outputs.writing import write as write
from napari_usflow.jobs import CancelToken as CancelToken
from napari_usflow.jobs import Event as Event
from napari_usflow.jobs import FrameDone as FrameDone
from napari_usflow.jobs import Note as Note
from napari_usflow.jobs import Progress as Progress
from napari_usflow.mri import MriStack as MriStack
from napari_usflow.prior.flow_prior import load_prior as load_prior
from napari_usflow.training.events import CheckpointWritten as CheckpointWritten
from napari_usflow.training.events import Estimated as Estimated
from napari_usflow.training.events import Previewed as Previewed
from napari_usflow.training.events import TrainStep as TrainStep
from napari_usflow.training.events import Validated as Validated
from napari_usflow.training.flow.train import train_prior as train_prior
from napari_usflow.training.network.train import train_network as train_network
from napari_usflow.ultrasound.beamform import beamform as beamform
from napari_usflow.ultrasound.data import ChannelData as ChannelData
from napari_usflow.ultrasound.data import DivergingWave as DivergingWave
from napari_usflow.ultrasound.data import FocusedBeam as FocusedBeam
from napari_usflow.ultrasound.data import PixelGrid as PixelGrid
from napari_usflow.ultrasound.data import PlaneWave as PlaneWave
from napari_usflow.ultrasound.data import PolarGrid as PolarGrid
from napari_usflow.ultrasound.data import UltrasoundImage as UltrasoundImage
from napari_usflow.ultrasound.scan_convert import scan_convert as scan_convert
from napari_usflow.ultrasound.sectors.find import find_sector as find_sector
from napari_usflow.ultrasound.sectors.geometry import Sector as Sector
from napari_usflow.ultrasound.simulate.speckle import (
    simulate_speckle as simulate_speckle,
)

__version__: str
