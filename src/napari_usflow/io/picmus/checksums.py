"""The original files of the PICMUS challenge, known by their SHA-256 digests.

Taken from public Git LFS pointers to the challenge's files; four were compared with
the files themselves.
"""

from __future__ import annotations

__all__ = ["ORIGINALS"]

ORIGINALS = {
    "contrast_speckle_expe_dataset_iq.hdf5": (
        "217456a63ff43a0fb85a9ca0586e6be2ee6a0a7af0890fe8d3a2b7234f13dde7"
    ),
    "contrast_speckle_expe_dataset_rf.hdf5": (
        "463941574428ee00e9a39887ebd0a10ba74731b2da37e638af8d66c869eb0b4d"
    ),
    "contrast_speckle_expe_phantom.hdf5": (
        "2ff22f9c2611c612e09ebd304a3e2e46c59a3dbace4f1f6468a2f6ed24d5d403"
    ),
    "contrast_speckle_expe_scan.hdf5": (
        "f5a80235231623c0772218d3760e444ab82f9d244d90fa864ec9f94fe89fabf7"
    ),
    "contrast_speckle_simu_dataset_iq.hdf5": (
        "07047619d6fb04eb40d6d57931e00ccee03f6afdf1aca5836e1e51ca2968cd94"
    ),
    "contrast_speckle_simu_dataset_rf.hdf5": (
        "aa79fff4d7a4828417d5394a2563b9305725e9e63a150a823b9e093be098977f"
    ),
    "contrast_speckle_simu_phantom.hdf5": (
        "3a6084975860f6c7e248404da3261cf3bdf1204dee71127a5746754ce3bec871"
    ),
    "contrast_speckle_simu_scan.hdf5": (
        "f2c069a3c076d0e4f29f20abba0ea44b41b7bdf620c12bcc27b6cb90e8b557ac"
    ),
    "resolution_distorsion_expe_dataset_iq.hdf5": (
        "6cc1cd1f52ad4b119459da2f19bb66a3fc9e288ebb55ba287d17aa54015e32d2"
    ),
    "resolution_distorsion_expe_dataset_rf.hdf5": (
        "c3964c54cc9e3f99f89e3942b7797d0f8d03d835a9d8dd9c1fe59f745685a83b"
    ),
    "resolution_distorsion_expe_phantom.hdf5": (
        "6633ad03bcbdcf441f0a7bf71d93839420c7bee338b74aaf194b6e1a38b63f67"
    ),
    "resolution_distorsion_expe_scan.hdf5": (
        "335e781316d6df4c941e011528f97348a39466ceb8435da8b1a270393ba690f5"
    ),
    "resolution_distorsion_simu_dataset_iq.hdf5": (
        "ed564db71996c880007e81420032d375a33b39547b3c6ed5e0b15d0188bdd542"
    ),
    "resolution_distorsion_simu_dataset_rf.hdf5": (
        "8d09677210efae5d6b130e0418d146c6a71a6550ae9f03af0ca14165899ca698"
    ),
    "resolution_distorsion_simu_phantom.hdf5": (
        "ee524624f8dab379a9e57dd9e6d8fc5e0e9fe6de4900578c8c96d9415c71c1ae"
    ),
    "resolution_distorsion_simu_scan.hdf5": (
        "aede1b00c3b6385e6256ce111d78097528653c64c05b530bb76d3c6a13bd2afb"
    ),
}
"""Digest of every file in the archive, by its name."""
