"""The sample source: a server on loopback that speaks Unsplash's and GBIF's protocols.

`curate demo` and the tests of the API clients use it; nothing else in the package does.
`curate.demo.server.SampleServer` is the door, `curate.demo.options.SampleOptions` says how
the server behaves, and `curate.demo.photos.Photo` tells the truth about each picture.
"""
