"""Two views of a scene: detectors run on them, matches found, judged by the known geometry.

``detectors`` -> ``matching`` -> ``judging``, which asks ``geometry`` where points truly went;
``opencv`` is the reference for all of it, ``agreement`` compares
two detectors keypoint by keypoint.
"""
