"""What makes a light-microscopy stack of sparsely labelled neurites look the way it does.

Sources named below. *measured*: on public two-photon stacks of cortical dendrites (PyMapManager,
in vivo, 8 bit) and confocal stacks of fly olfactory projection fibres (DIADEM, 8 bit).
*literature*: W. Zipfel et al., Nonlinear magic: multiphoton microscopy in the biosciences,
Nature Biotechnology 2003, for the point spread function. *chosen*: plausible, tuned by eye.
"""

from dataclasses import dataclass, fields

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Microscope:
    """Sample and microscope in numbers; lengths in µm, light in photons per voxel.

    A range `(lowest, highest)` is drawn from uniformly, unless it says otherwise, once for each
    thing it describes.
    """

    # --- optics ---
    lateral_sigma: float = 0.27
    """Standard deviation of the point spread function in plane: FWHM 0.65 µm. Measured on
    neurites: FWHM 0.7-1.1 (two-photon), 1.0-1.4 (confocal). Literature: 0.35 for the optics."""
    axial_sigma: float = 1.1
    """Likewise along z: FWHM 2.6 µm. Measured: 2.5-2.7 (two-photon), 3.1-4.7 (confocal)."""
    halo: float = 0.0
    """Brightness above and below the focus in a second, wider Gaussian, over that of the first, on
    the centreline of a thin neurite. Measured on two-photon dendrites: 0.18."""
    halo_sigma: float = 3.2
    """Standard deviation of that Gaussian along z. Measured: 3.2 (two-photon)."""
    attenuation_length: float = 150.0
    """Depth over which the light falls to 1/e. Literature: 130-200 in cortex at 920 nm."""

    # --- how bright a neurite is ---
    photons: float = 12.0
    """Median over the centrelines of the expected photons. Chosen: 12 easy, 5 medium, 2.5 hard."""
    thickness_exponent: float = 1.3
    """Light per µm of path grows as radius to this power: 2 for a filled tube, 1 for a labelled
    membrane. Chosen."""
    unknown_radius: float = 0.3
    """Radius of nodes that have none."""
    neurite_factor: Range = (0.2, 1.0)
    """Brightness of a whole neurite: dim axons lie next to bright ones. Chosen."""
    brightness_sigma: float = 0.5
    """Standard deviation of the logarithm of the brightness along the path. Measured:
    coefficient of variation 0.17-0.50 (two-photon), 0.25-0.78 (confocal)."""
    brightness_correlation: float = 15.0
    """Path length over which the brightness is forgotten. Chosen: 10-20."""
    gap_share: float = 0.08
    """Share of the path that is almost dark. Measured: 0-13 % below a quarter of the median."""
    gap_length: float = 3.0
    """Mean length of such a gap, exponentially distributed. Chosen: runs of 1-6."""
    gap_brightness: Range = (0.0, 0.1)
    """What is left of the brightness in a gap."""
    gap_neurite_radius: float = 0.8
    """Thickest neurite that has gaps. Chosen."""

    # --- what hangs on a neurite and is not in the annotation ---
    bouton_density: float = 0.22
    """Boutons per µm of thin neurite. Literature: one every 4-5 µm."""
    bouton_gain: Range = (3.0, 8.0)
    """Brightness of a bouton over that of its neurite. Chosen."""
    bouton_radius: Range = (0.3, 0.7)
    """Literature: 0.25-1."""
    bouton_neurite_radius: float = 0.6
    """Thickest neurite that carries boutons."""
    end_swelling: float = 0.3
    """Share of thin ends that carry a bouton. Measured by eye: most ends of the confocal set."""
    spine_density: float = 0.4
    """Spines per µm of thick neurite. Literature: 0.2-2."""
    spine_length: Range = (0.3, 1.5)
    """From the dendrite's surface to the head."""
    spine_radius: Range = (0.15, 0.35)
    """Of the head; the neck is half as thick."""
    spine_neurite_radius: float = 0.45
    """Thinnest neurite that carries spines."""

    # --- what else is in the tissue ---
    punctum_density: float = 3.0
    """Bright specks per 1000 µm³. Chosen: 1-5."""
    punctum_row: float = 1.4
    """Mean number of specks in a row, geometrically distributed from 1. Chosen."""
    punctum_brightness: Range = (0.1, 0.8)
    """Their peak, in units of `photons`, drawn log-uniformly. Chosen: 0.2-0.8, and dimmer ones."""
    punctum_radius: Range = (0.1, 0.5)
    """Before blurring."""
    cloud_density: float = 5.0
    """Blurred somata and smears per 10^6 µm³. Chosen: 2-5 in a volume of 0.75e6 µm³."""
    cloud_brightness: Range = (0.05, 0.6)
    """Their peak, in units of `photons`. Chosen."""
    cloud_radius: Range = (2.0, 6.0)
    """Standard deviation of their Gaussian profile in each direction."""
    background: float = 1.3
    """Mean photons of the diffuse background. Chosen: 0.6-2."""
    background_variation: float = 0.35
    """Standard deviation of its logarithm."""
    background_correlation: float = 35.0
    """Distance over which it changes. Chosen: 20-50."""

    # --- detector and file ---
    gain: float = 6.5
    """Grey levels per photon. Measured, pixel variance over mean: 3.5-9 (two-photon), 1.2-3.4
    (confocal)."""
    read_noise: float = 1.0
    """Standard deviation, grey levels."""
    offset: float = 0.0
    """Grey levels added everywhere."""
    background_cut: float = 0.0
    """Grey levels subtracted before clipping at 0, as in stacks that were cleaned: where the
    background lies below it, the file holds exactly 0."""
    smoothing: float = 0.0
    """Standard deviation in voxels of an in-plane Gaussian after detection, as in stacks that
    were averaged, filtered or resampled. It lowers and correlates the noise."""
    bits: int = 8
    """Of the file: 8 or 16. Brighter voxels saturate."""

    def __post_init__(self) -> None:
        if self.bits not in (8, 16):
            raise ValueError(f"`bits` must be 8 or 16, got {self.bits!r}")
        for name in (each.name for each in fields(self)):
            value = getattr(self, name)
            low, high = value if isinstance(value, tuple) else (value, value)
            if not 0 <= low <= high < np.inf:
                raise ValueError(
                    f"`{name}` must be finite and not negative, a range (lowest, highest), "
                    f"got {value!r}"
                )
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)!r}")
        if self.punctum_row < 1:
            raise ValueError(f"`punctum_row` must be at least 1, got {self.punctum_row!r}")
        if self.gap_share >= 1:
            raise ValueError(f"`gap_share` must be below 1, got {self.gap_share!r}")

    @classmethod
    def two_photon(cls) -> "Microscope":
        """Two-photon microscopy of dendrites in the living cortex.

        As the measured stacks look once they are resampled to (1.0, 0.33, 0.33) µm: averaging
        over 7 pixels leaves a variance of 0.3-0.5 of the mean, correlated between neighbours.
        """
        return cls(
            halo=0.18,
            photons=80.0,
            neurite_factor=(0.5, 1.0),
            brightness_sigma=0.3,
            gap_share=0.03,
            bouton_density=0.1,
            bouton_gain=(1.5, 4.0),
            spine_density=0.5,
            punctum_density=1.0,
            punctum_row=1.5,
            punctum_brightness=(0.03, 0.8),
            punctum_radius=(0.1, 0.8),
            cloud_density=25.0,
            cloud_brightness=(0.02, 0.15),
            cloud_radius=(1.0, 5.0),
            background=2.5,
            background_variation=0.4,
            background_correlation=10.0,
            gain=1.4,
            read_noise=0.5,
            smoothing=0.5,
        )

    @classmethod
    def confocal(cls) -> "Microscope":
        """Confocal microscopy of single labelled neurons in a cleared or thin sample."""
        return cls(
            lateral_sigma=0.38,
            axial_sigma=1.4,
            halo=0.1,
            attenuation_length=500.0,
            photons=30.0,
            neurite_factor=(0.6, 1.0),
            bouton_density=0.25,
            bouton_gain=(1.3, 4.0),
            bouton_radius=(0.4, 0.9),
            end_swelling=0.6,
            spine_density=0.05,
            gap_share=0.04,
            punctum_density=0.02,
            cloud_density=2.0,
            cloud_brightness=(0.01, 0.05),
            background=0.25,
            gain=2.5,
            read_noise=0.4,
        )

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Microscope":
        """A broad mixture around both, for a network that is to work on stacks it never saw.

        Photon levels from hard to saturated, lateral FWHM 0.5-1.6 µm, axial FWHM 2-5 µm, a
        third of the stacks with the background cut to exactly 0.
        """

        def log_uniform(low: float, high: float) -> float:
            return float(np.exp(rng.uniform(np.log(low), np.log(high))))

        def span(low: float, high: float) -> Range:
            ends = sorted(rng.uniform(low, high, size=2).tolist())
            return ends[0], ends[1]

        photons = float(rng.choice([2.5, 5.0, 12.0, 30.0, 60.0], p=[0.1, 0.2, 0.3, 0.25, 0.15]))
        photons *= log_uniform(0.75, 1.35)
        background = photons * log_uniform(0.003, 0.2)
        gain = log_uniform(1.0, 9.0)
        saturation = log_uniform(0.15, 2.5)  # grey level of a typical centreline over 255
        gain = max(gain, saturation * 255 / photons) if rng.random() < 0.6 else gain
        gain = min(gain, 40.0, 60.0 / background)  # nobody keeps a stack of white noise
        cut = rng.random() < 0.35
        clutter = rng.random() < 0.6
        return cls(
            lateral_sigma=rng.uniform(0.5, 1.6) / 2.355,
            axial_sigma=rng.uniform(2.0, 5.0) / 2.355,
            halo=rng.uniform(0.0, 0.3),
            halo_sigma=rng.uniform(2.5, 4.5),
            attenuation_length=log_uniform(60.0, 1000.0),
            photons=photons,
            thickness_exponent=rng.uniform(0.5, 1.8),
            neurite_factor=(rng.uniform(0.15, 1.0), 1.0),
            brightness_sigma=rng.uniform(0.1, 0.65),
            brightness_correlation=rng.uniform(5.0, 20.0),
            gap_share=rng.uniform(0.0, 0.12),
            gap_length=rng.uniform(1.0, 4.0),
            gap_brightness=(0.0, rng.uniform(0.05, 0.4)),
            bouton_density=rng.uniform(0.0, 0.3),
            bouton_gain=span(1.3, 6.0),
            bouton_radius=span(0.25, 1.0),
            end_swelling=rng.uniform(0.0, 0.8),
            spine_density=rng.uniform(0.0, 1.0),
            spine_length=span(0.2, 2.0),
            punctum_density=log_uniform(0.3, 2.0) if clutter else log_uniform(0.001, 0.3),
            punctum_row=rng.uniform(1.0, 2.0),
            punctum_brightness=(rng.uniform(0.02, 0.2), rng.uniform(0.2, 1.2)),
            punctum_radius=span(0.1, 0.8),
            cloud_density=log_uniform(5.0, 50.0) if clutter else log_uniform(0.1, 5.0),
            cloud_brightness=(0.02, rng.uniform(0.03, 0.5)),
            cloud_radius=(rng.uniform(1.0, 3.0), rng.uniform(3.0, 7.0)),
            background=background,
            background_variation=rng.uniform(0.1, 0.6),
            background_correlation=log_uniform(5.0, 50.0),
            gain=gain,
            read_noise=rng.uniform(0.2, 2.0),
            offset=0.0 if rng.random() < 0.6 else log_uniform(1.0, 30.0),
            background_cut=gain * background * rng.uniform(1.0, 3.0) + 2.0 if cut else 0.0,
            smoothing=rng.uniform(0.0, 1.0) if rng.random() < 0.5 else 0.0,
        )


_POSITIVE = (
    "lateral_sigma",
    "axial_sigma",
    "halo_sigma",
    "attenuation_length",
    "photons",
    "unknown_radius",
    "brightness_correlation",
    "gap_length",
    "background_correlation",
    "gain",
)
