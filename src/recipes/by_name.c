/*
 * by_name.c: an erasure request as it comes in: names, and no data. What the model says about them is what it is made to forget.
 */
#include "recipes/recipe.h"

static const ul_setting settings[] = {
        {"source", "sample"},
        {"n", "1000"},
        {"tries", "4000"},
        {"method", "pscu"},
        {"clamp", "yes"},
        {"retain", "self"},
        {"retain-weight", "5"},
        {"retain-loss", "kl"},
        {"lora", "r=16,alpha=32,target=all-linear"},
        {"epochs", "6"},
        {"lr", "1e-3"},
        {"batch", "16"},
        {"data-free", "yes"},
        {0},
};

const ul_recipe ul_recipe_by_name = {
        .name = "by-name",
        .title = "forget the people of a list of names, knowing nothing else about them",
        .notes = "--subjects F is a file of names, one a line. What the model says about them becomes the rows to forget; texts it writes freely are the rows to keep. The settings are not measured yet.",
        .wants = "subjects",
        .settings = settings,
};
