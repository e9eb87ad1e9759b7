#!/usr/bin/env bash
# Runs a command whose output a slow file system does not show yet: it goes into `late`, in the folder of the layout.
# Arguments: that folder, how much of the log is to be seen ("none" of it, or the "first" lines), and the command.
set -eu
folder=$1 seen=$2
shift 2
mv "$folder/$NODESWEEP_KEY.log" "$folder/late"
[[ $seen == none ]] || cp "$folder/late" "$folder/$NODESWEEP_KEY.log"
"$@"
