"""HDF5 as Keras and h5py write it, read without its library: groups, attributes, and locations of arrays.

The library may loop forever on a damaged file and cannot be interrupted. Here every address and length is checked
against the size of the file, and the number of parts read is limited to what a valid file has room for. Layout: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""
