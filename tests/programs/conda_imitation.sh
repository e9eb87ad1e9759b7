# An imitation of conda's shell hook and activation scripts, to be sourced: conda itself is no package of Debian.
# Like conda's, it reads variables that may be unset, changes PS1, and sources scripts of packages whose last command may
# fail. Environments are folders below CONDA_IMITATION_ENVS, with etc/conda/activate.d/*.sh in them.
__conda_imitation_scripts() {
    local script
    for script in "$1/etc/conda/$2.d"/*.sh; do
        if [ -f "$script" ]; then
            . "$script"
        fi
    done
}
conda() {
    case "$1" in
        activate)
            if [ ! -d "$CONDA_IMITATION_ENVS/$2" ]; then
                echo "EnvironmentNameNotFound: Could not find conda environment: $2" >&2
                return 1
            fi
            if [ $CONDA_SHLVL -gt 0 ]; then
                conda deactivate
            fi
            CONDA_BACKUP_PS1=$PS1
            PS1="($2) $PS1"
            export CONDA_SHLVL=$((CONDA_SHLVL + 1))
            export CONDA_DEFAULT_ENV=$2 CONDA_PREFIX=$CONDA_IMITATION_ENVS/$2
            export PATH=$CONDA_PREFIX/bin:$PATH
            __conda_imitation_scripts "$CONDA_PREFIX" activate
            hash -r
            ;;
        deactivate)
            __conda_imitation_scripts "$CONDA_PREFIX" deactivate
            PS1=$CONDA_BACKUP_PS1
            PATH=${PATH#"$CONDA_PREFIX"/bin:}
            unset CONDA_PREFIX CONDA_DEFAULT_ENV
            export CONDA_SHLVL=$((CONDA_SHLVL - 1))
            ;;
    esac
}
if [ -z "${CONDA_SHLVL+x}" ]; then
    export CONDA_SHLVL=0
    PS1=$PS1
fi
[ -n "$CONDA_IMITATION_AUTO_ACTIVATE" ] && conda activate base
