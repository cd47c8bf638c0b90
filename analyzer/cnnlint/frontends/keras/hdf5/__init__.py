"""HDF5 as Keras and h5py write it, read without its library: groups, attributes, and where the arrays lie.

The library follows what a damaged file says, for ever if need be, and cannot be interrupted. Here every address and
length is held against the file, and the parts that are read are counted: a sound file cannot have more of them than
it has room for. Layout: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""
