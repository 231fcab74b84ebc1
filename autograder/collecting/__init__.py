"""Takes submissions as a platform hands them out, and puts each into its student's folder.

`source` lists what is in an archive or a folder, `platforms` and `division` tell from the names who handed in what and
when, `attribution` finds the students in the roster and puts attempts in order, `disguise` takes names out if students
are called by pseudonyms, `desk` fills submitted/.
"""
