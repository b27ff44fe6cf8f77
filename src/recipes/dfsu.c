/*
 * dfsu.c: data-free selective unlearning (Zhou et al. 2026): all personal data that a model has learnt are forgotten, without any of
 * the texts they came from.
 */
#include "recipes/recipe.h"

static const ul_setting settings[] = {
        {"source", "sample"},
        {"n", "1000"},
        {"tries", "4000"},
        {"min-pii", "0"},
        {"method", "pscu"},
        {"beta", "0.5"},
        {"clamp", "yes"},
        {"cap", "-1"},
        {"retain", "self"},
        {"invent", "2"},
        {"lora", "r=16,alpha=32,target=all-linear"},
        {"epochs", "8"},
        {"lr", "5e-4"},
        {"batch", "16"},
        {"data-free", "yes"},
        {0},
};

const ul_recipe ul_recipe_dfsu = {
        .name = "dfsu",
        .title = "forget all personal data, having none of it",
        .paper = "Zhou et al. 2026, Data-Free Selective Unlearning (arXiv 2601.15595)",
        .notes = "The model is brought to tell what it knows, typed recognisers mark the personal data in that, and PSCU lowers their likelihood while the words around "
                 "them, texts the model writes itself, and invented values in the place of remembered ones keep theirs. What is forgotten is pushed as far as values that do not exist stood at the start, and no further. Adapter rank, steps, β and retain rows are chosen by measurement, not the paper's.",
        .settings = settings,
};
