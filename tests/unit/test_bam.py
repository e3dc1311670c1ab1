"""The BAM files of the demo and the campaign are what they are said to be, by htslib's judgement."""

from pathlib import Path

import pysam
import pytest

from local.bam import bam, with_a_flipped_bit


def test_bam_has_its_reads(tmp_path: Path) -> None:
    path = tmp_path / "sound.bam"
    path.write_bytes(bam(3))
    assert pysam.view("-c", str(path)).strip() == "600"


def test_flipped_bit_shows_neither_in_the_size_nor_at_the_ends(tmp_path: Path) -> None:
    sound, damaged = bam(3), with_a_flipped_bit(bam(3))
    path = tmp_path / "damaged.bam"
    path.write_bytes(damaged)
    assert (len(damaged), damaged[:1024], damaged[-1024:]) == (len(sound), sound[:1024], sound[-1024:])
    pysam.quickcheck("-u", str(path))
    with pytest.raises(pysam.SamtoolsError, match="error reading file"):
        pysam.view("-c", str(path))
