/*
 * reveal_release.c: Reveal and Release: what the model tells about a matter is subtracted from it, again and again.
 */
#include "recipes/recipe.h"

static const ul_setting settings[] = {
        {"data-free", "yes"},
        {"source", "reveal"},
        {"method", "release"},
        {"retain", "self"},
        {"iterations", "5"},
        {"lambda", "1"},
        {"budget", "0.05"},
        {"lora", "r=16,alpha=32,target=all-linear"},
        {"epochs", "3"},
        {"lr", "5e-4"},
        {"batch", "8"},
        {0},
};

const ul_recipe ul_recipe_reveal_release = {
        .name = "reveal-release",
        .title = "forget a matter that a scorer recognises, having no text about it",
        .paper = "Zhu et al. 2025, Reveal and Release: Iterative LLM Unlearning with Self-generated Data (arXiv 2509.14624)",
        .notes = "--scorer NAME:ARG says what is to be forgotten. Instructions are searched whose answers are relevant and diverse, an adapter learns the answers and is "
                 "subtracted as far as the retain rows bear it, and the model is asked again. --lambda-retain adds a retain adapter, --ext-sub spares what both share.",
        .wants = "scorer",
        .settings = settings,
};
