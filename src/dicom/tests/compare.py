#!/usr/bin/python3
"""A data set with all that encodings treat in different ways. Arguments: where to write it, and Python that changes it."""

import sys, pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
ds = Dataset()
ds.SpecificCharacterSet = 'ISO_IR 100'
ds.SOPClassUID, ds.SOPInstanceUID = '1.2.840.10008.5.1.4.1.1.7', '2.25.7'
ds.ImageType = ['DERIVED', 'SECONDARY']
ds.PatientName, ds.PatientID, ds.PatientComments = 'Müller^Jörg', 'P1', 'one\r\n  two'
ds.StudyDescription, ds.SliceThickness, ds.ImagePositionPatient = 'Schädel', '1.50', [1, -2.5, 3]
ds.FrameIncrementPointer = 0x00181063
ds.SmallestImagePixelValue, ds.PixelRepresentation, ds.BitsStored = 7, 0, 12
ds.RealWorldValueFirstValueMapped = 5
ds.LargestMonochromePixelValue = 300
ds.RedPaletteColorLookupTableDescriptor = [256, 0, 16]
ds.RedPaletteColorLookupTableData = bytes(i * 7 % 256 for i in range(512))
ds.TagThreshold, ds.RecommendedDisplayFrameRateInFloat = 1.25, 2.5
item = Dataset()
item.CodeValue, item.CodeMeaning = '1', 'Gefäß'
inner = Dataset()
inner.ReferencedSOPInstanceUID, inner.ReferencedFrameNumber = '1.2.3', [1, 2]
item.ReferencedSOPSequence = Sequence([inner])
ds.ProcedureCodeSequence = Sequence([item, item])
ds.ReferencedStudySequence = Sequence([])
a, b = ds.private_block(0x0009, 'MAKER A', create=True), ds.private_block(0x0009, 'MAKER B', create=True)
a.add_new(1, 'LO', 'private')
a.add_new(2, 'US', 513)
b.add_new(1, 'DS', '2.5')
hidden = Dataset()
hidden.add_new(0x00090010, 'LO', 'MAKER A')
hidden.add_new(0x00091005, 'SH', 'inside')
b.add_new(3, 'SQ', Sequence([hidden]))
ds.PixelData, ds['PixelData'].VR = b'\1\2', 'OW'
exec(sys.argv[2] if len(sys.argv) > 2 else '')
ds.file_meta = FileMetaDataset()
ds.file_meta.TransferSyntaxUID, ds.file_meta.MediaStorageSOPClassUID = '1.2.840.10008.1.2.1', ds.SOPClassUID
ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
ds.is_little_endian, ds.is_implicit_VR = True, False
ds.save_as(sys.argv[1], write_like_original=False)
